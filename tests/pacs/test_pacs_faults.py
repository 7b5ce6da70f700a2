"""What goes wrong: a node that is killed, many senders at once, an archive that is away or forwards all."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import returned_series as returned
from real_servers import Node, Orthanc, missing, send, storescu, until
from sent_series import Study, cylinder_ct, head_mr, noise_mr

pytestmark = [
    pytest.mark.slow,
    pytest.mark.longest,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}"),
]
CT = {"modality": "CT", "bundle": "ldct", "to": "pacs"}
MR = {"modality": "MR", "bundle": "mr2ct", "to": "pacs"}
SPACING = (1.5, 1.5, 3.0)
IN_WORK = ("receiving", "queued", "running", "sending")
LUA = "function OnStoredInstance(id, tags) SendToModality(id, 'NODE') end"
"""Orthanc forwards each instance that it stores, in an association of its own."""


def ct_series(folder: Path, count: int, slices: int = 8, size: int = 64, study: Study | None = None) -> dict[str, Path]:
    """CT series of one study, by their UIDs, no two alike."""
    study = study or Study()
    return {
        study.write(folder / f"{number:02}", "CT", cylinder_ct(number, size, slices), SPACING, "CT"): folder
        / f"{number:02}"
        for number in range(count)
    }


def idle(node: Node) -> Callable[[], bool]:
    """Whether nothing of a node is under way."""
    return lambda: not any(node.counts()[name] for name in IN_WORK)


def all_back(node: Node, orthanc: Orthanc, seconds: float = 300) -> dict[str, list[str]]:
    """What :func:`returned.derived_of` says once the node is idle."""
    until(idle(node), "the last result", seconds, lambda: f"{node.counts()}\n{node.log}")
    return returned.derived_of(orthanc)


def lengths(orthanc: Orthanc, derived: dict[str, list[str]]) -> Counter[int]:
    """How many synthetic series have how many instances."""
    series = orthanc.series()
    return Counter(len(series[uid]["instances"]) for each in derived.values() for uid in each)


@pytest.fixture
def fresh(started: Callable[..., Any]) -> Callable[..., tuple[Orthanc, Node]]:
    """Starts an Orthanc and a node for it, with the CT of ``ldct`` as route."""

    def start(*routes: Any, lua: str = "", **settings: Any) -> tuple[Orthanc, Node]:
        orthanc = started(Orthanc, lua=lua)
        node = started(Node, orthanc, routes or [CT], **settings)
        orthanc.knows_node(node.port)
        return orthanc, node

    return start


def certificates(folder: Path) -> dict[str, Path]:
    """An authority ``ca``, and ``node`` and ``scanner`` with certificates of it; ``stranger`` has one of its own."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(*new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(*new, "-subj", "/CN=stranger", "-keyout", "stranger.key", "-out", "stranger.pem")
    for name in ("node", "scanner"):
        own = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        openssl(*new, *own, "-CA", "ca.pem", "-CAkey", "ca.key")
    return {path.name: path for path in folder.iterdir()}


def test_thirty_series_and_five_kills_give_each_result_once(
    fresh: Any, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    orthanc, node = fresh()
    sources = ct_series(tmp_path, 30, slices=6, size=224)
    send(orthanc.dicom_port, *sources.values(), called="ORTHANC")
    chance, repeated, states = random.Random(7), Counter[str](), []

    def sender(folder: Path) -> None:
        """Send a series until all of it is acknowledged, as a scanner does."""
        while storescu(node.port, folder) != 0:
            repeated[folder.name] += 1
            time.sleep(0.5)

    with ThreadPoolExecutor(2) as senders:
        pending = [senders.submit(sender, folder) for folder in sources.values()]
        for kill in range(5):
            node.reaches(sent=4 * kill)
            time.sleep(chance.uniform(0, 0.5))
            states.append({name: count for name, count in node.counts().items() if count})
            node.kill()
            node.start()
        for each in pending:
            each.result()
    derived = all_back(node, orthanc, 600)
    for number, state in enumerate(states, start=1):
        tell(f"killed {number}: {', '.join(f'{count} {name}' for name, count in state.items())}")
    assert sum(any(state.get(name) for name in IN_WORK) for state in states) >= 3, "killed after the work"
    assert {source: len(each) for source, each in derived.items()} == dict.fromkeys(sources, 1)
    assert lengths(orthanc, derived) == {6: 30}
    assert node.counts()["failed"] == 0
    tell(f"30 series, 5 kills, {sum(repeated.values())} associations repeated: 30 results, each once and whole")


def test_twenty_associations_at_once_are_all_acknowledged_while_a_case_runs(
    fresh: Any, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    orthanc, node = fresh(CT, MR)
    mr = Study()
    mr.write(tmp_path / "mr", "MR", head_mr(), (2.5, 2.5, 2.5), "T2")
    sources = ct_series(tmp_path / "ct", 20, slices=5)
    send(orthanc.dicom_port, *sources.values(), called="ORTHANC")
    send(node.port, tmp_path / "mr")
    node.reaches(running=1)
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as senders:
        codes = list(senders.map(lambda folder: storescu(node.port, folder), sources.values()))
    took = time.monotonic() - begun
    assert codes == [0] * 20
    assert node.counts()["running"] == 1, "the case ended before: it was no load"
    derived = all_back(node, orthanc)
    assert {uid: len(derived.get(uid, [])) for uid in sources} == dict.fromkeys(sources, 1)
    tell(f"20 associations of 5 instances at once while a case ran: all acknowledged in {took:.1f} s, 20 results")


def test_an_archive_that_is_away_gets_the_result_later_and_a_repeat_nothing(
    fresh: Any, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    orthanc, node = fresh()
    ((uid, folder),) = ct_series(tmp_path, 1).items()
    send(orthanc.dicom_port, folder, called="ORTHANC")
    orthanc.stop()
    send(node.port, folder)
    until(lambda: node.health()["destinations_away"], "the note that the archive is away", log=lambda: node.log)
    assert node.counts()["sending"] == 1
    orthanc.start()
    derived = all_back(node, orthanc)
    assert lengths(orthanc, derived) == {8: 1}
    assert node.health()["destinations_away"] == {}
    tell("Orthanc was away: the result came when it was back")

    before = orthanc.series()
    send(node.port, folder)
    node.reaches(duplicate=1)
    until(idle(node), "the end")
    assert orthanc.series() == before
    assert list(before) != [uid]
    tell("the same series sent again: nothing new")


def test_an_archive_that_forwards_all_it_gets_makes_no_loop(
    fresh: Any, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    any_other = {"called": "SYNTHESIZE", "bundle": "mr2ct", "to": "pacs", "refused": "image"}
    orthanc, node = fresh(CT, any_other, lua=LUA, quiet_seconds=5)
    study = Study()
    ((uid, folder),) = ct_series(tmp_path, 1, study=study).items()
    noise = study.write(tmp_path / "noise", "MR", noise_mr(), (4.0, 4.0, 4.0), "noise")
    send(orthanc.dicom_port, folder, tmp_path / "noise", called="ORTHANC")
    node.reaches(sent=1, refused=1, unrouted=2)  # result and page come back to the node too
    until(idle(node), "the end")
    derived = returned.derived_of(orthanc)
    assert {source: len(each) for source, each in derived.items()} == {uid: 1}
    assert lengths(orthanc, derived) == {8: 1}
    assert len(orthanc.series().keys() - {uid, noise, *derived[uid]}) == 1
    counts = {name: count for name, count in node.counts().items() if count}
    assert {**counts, "duplicate": 0} == {"sent": 1, "refused": 1, "unrouted": 2, "duplicate": 0}
    tell("Orthanc forwards each instance it gets by itself: one result and one page, left alone when they come back")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_only_a_certificate_of_the_authority_opens_the_door(
    fresh: Any, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    (tmp_path / "keys").mkdir()
    keys = certificates(tmp_path / "keys")
    own = {"certificate": "node.pem", "key": "node.key", "authorities": "ca.pem"}
    _, node = fresh(tls={name: str(keys[file]) for name, file in own.items()})
    ((_, folder),) = ct_series(tmp_path / "ct", 1).items()
    trusted = ["+cf", keys["ca.pem"]]
    assert storescu(node.port, folder) != 0
    assert storescu(node.port, folder, words=["+tla", *trusted]) != 0
    assert storescu(node.port, folder, words=["+tls", keys["stranger.key"], keys["stranger.pem"], *trusted]) != 0
    assert storescu(node.port, folder, words=["+tls", keys["scanner.key"], keys["scanner.pem"], *trusted]) == 0
    node.reaches(sent=1)
    tell("TLS: dcmtk gets in with a certificate of the authority, not with another one, with none, or in the clear")
