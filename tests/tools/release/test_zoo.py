"""Folders for the model zoo and the Hugging Face Hub: nothing too large, true hashes and addresses, loadable."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import monai.bundle
import pytest
import torch
import yaml
from packed_copies import Released, unpack, version_of

from common.errors import CheckpointError, ConfigError, OutputError
from tools.release import zoo as layouts
from tools.release.pack import __main__ as command
from tools.release.pack.release import release as contents
from tools.release.verify import files
from tools.release.verify.bundle import ValidatedBundle
from tools.release.verify.verdicts import Check, Fault

ONE = "mr2ct_pix2pix"
PLACE = "models/model.pt"
OF_THE_ZOO = layouts.ZOO_LIMIT
LIMIT = 1_200_000
URL = "https://data.hospital.edu/weights"


@pytest.fixture(scope="module")
def packed(checkout: Path) -> dict[str, bytes]:
    return contents(checkout, ONE, "demo")


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's weights are smaller than what the zoo takes; all other files are smaller than this."""
    monkeypatch.setattr(layouts, "ZOO_LIMIT", LIMIT)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server that has what is written to ``large_files``."""
    (tmp_path / "large_files").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "large_files"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _held(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _faults(folder: Path, check: Check) -> list[str]:
    return [str(fault) for fault in check.find(ValidatedBundle(folder)) if isinstance(fault, Fault)]


def test_the_limit_is_that_of_the_zoo() -> None:
    assert OF_THE_ZOO == 25_000_000


def test_the_zoo_gets_all_but_the_large_files_and_where_they_are(packed: dict[str, bytes], tmp_path: Path) -> None:
    zoo, hub, large = layouts.write_layouts(packed, tmp_path, URL)
    assert [folder.relative_to(tmp_path).as_posix() for folder in (zoo, hub, large)] == [
        f"zoo/models/{ONE}", f"hub/{ONE}", f"large_files/{ONE}_v{version_of(ONE)}"
    ]  # fmt: skip
    held = _held(zoo)
    assert held.keys() == (packed.keys() - {PLACE}) | {"large_files.yml"}
    assert max(map(len, held.values())) <= LIMIT
    assert yaml.safe_load(held["large_files.yml"]) == {
        "large_files": [
            {
                "path": PLACE,
                "url": f"{URL}/{ONE}_v{version_of(ONE)}/{PLACE}",
                "hash_val": hashlib.sha256(packed[PLACE]).hexdigest(),
                "hash_type": "sha256",
            }
        ]
    }
    assert _held(large) == {PLACE: packed[PLACE]}
    listed = json.loads(held["model_info.json"])["sha256"]
    assert listed["large_files.yml"] == hashlib.sha256(held["large_files.yml"]).hexdigest()


def test_monai_downloads_the_large_files_and_loads_the_bundle(
    packed: dict[str, bytes],
    released: Released,
    served: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    zoo, hub, _ = layouts.write_layouts(packed, tmp_path, served)
    monai.bundle.download_large_files(str(zoo))
    assert (zoo / PLACE).read_bytes() == packed[PLACE]
    assert [_faults(folder, files.hashes) for folder in (zoo, hub)] == [[], []]
    torch.manual_seed(0)
    images = torch.rand(1, 1, 64, 64) * 2 - 1
    monkeypatch.syspath_prepend(zoo)  # the code is the same in all three
    folders = (unpack(released(ONE), tmp_path / "release"), zoo, hub)
    released, from_zoo, from_hub = (
        monai.bundle.load(ONE, bundle_dir=str(folder.parent), device="cpu").eval()(images) for folder in folders
    )
    assert released.std() > 0.1
    assert torch.equal(from_zoo, released)
    assert torch.equal(from_hub, released)


def test_another_file_than_the_published_one_is_refused(packed: dict[str, bytes], tmp_path: Path) -> None:
    zoo, *_ = layouts.write_layouts(packed, tmp_path, URL)
    assert _faults(zoo, files.hashes) == []
    (zoo / PLACE).write_bytes(packed[PLACE][:-1])
    (fault,) = _faults(zoo, files.hashes)
    assert f", {hashlib.sha256(packed[PLACE]).hexdigest()[:12]} is listed: restore" in fault


@pytest.mark.parametrize("url", [None, "", "https://example.org/weights", "https://<host>/a", "/data", "url-of-model"])
def test_an_address_is_not_invented(packed: dict[str, bytes], tmp_path: Path, url: str | None) -> None:
    with pytest.raises(ConfigError, match=r"ZOO_URL \(--url\) is .*, no public address: give where"):
        layouts.write_layouts(packed, tmp_path, url)
    assert list(tmp_path.iterdir()) == []


def test_no_address_is_needed_where_nothing_is_large(
    packed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "ZOO_LIMIT", max(map(len, packed.values())))
    zoo, _ = layouts.write_layouts(packed, tmp_path, None)
    assert _held(zoo) == dict(packed)


def test_the_hub_gets_the_release_and_a_card(packed: dict[str, bytes], tmp_path: Path) -> None:
    """The card's head has what MONAI writes, which takes the licence from the file of that name, and what it is for."""
    _, hub, _ = layouts.write_layouts(packed, tmp_path, URL)
    held = _held(hub)
    assert held.keys() == packed.keys() | {"README.md"}
    _, head, card = held["README.md"].decode().split("---\n", 2)
    own = yaml.safe_load(head)
    assert own.pop("pipeline_tag") == "image-to-image"
    assert own["tags"] == ["monai", "medical", "image-synthesis", "mr", "ct", "head", "gan", "supervised"]
    assert card.strip() == packed["docs/README.md"].decode().strip()
    shutil.copy(hub / "docs" / "README.md", tmp_path / "README.md")
    shutil.copy(hub / "LICENSE", tmp_path)
    monai.bundle.scripts._add_model_card_metadata(str(tmp_path / "README.md"))
    theirs = yaml.safe_load((tmp_path / "README.md").read_text().split("---\n")[1])
    assert {**own, "tags": own["tags"][:2]} == theirs


def test_the_hub_knows_what_draws_samples(checkout: Path, tmp_path: Path) -> None:
    _, hub, *_ = layouts.write_layouts(contents(checkout, "lesion_dcgan_aug", "demo"), tmp_path, URL)
    head = yaml.safe_load((hub / "README.md").read_text().split("---\n")[1])
    assert head["pipeline_tag"] == "unconditional-image-generation"


def test_a_folder_is_replaced_unless_it_is_anothers(packed: dict[str, bytes], tmp_path: Path) -> None:
    zoo, _, large = layouts.write_layouts(packed, tmp_path, URL)
    (zoo / "stale.txt").write_text("")
    layouts.write_layouts(packed, tmp_path, URL)
    assert not (zoo / "stale.txt").exists()
    (large / "mine.txt").write_text("")
    with pytest.raises(OutputError, match=r"holds files that this project did not write"):
        layouts.write_layouts(packed, tmp_path, URL)
    assert (large / "mine.txt").exists()


def test_a_bundle_without_weights_is_not_published(packed: dict[str, bytes], tmp_path: Path) -> None:
    untrained = {place: content for place, content in packed.items() if place != PLACE}
    with pytest.raises(CheckpointError, match=rf"{ONE} has no {PLACE} to publish: train"):
        layouts.write_layouts(untrained, tmp_path, URL)


def test_the_command_needs_an_address_before_it_writes(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "ROOT", checkout)
    words = [ONE, "--zoo", "--overlay", "demo", "--out", str(tmp_path / "dist")]
    assert command.main(words) == 2
    assert capsys.readouterr().err.strip() == (
        "error: ZOO_URL (--url) is None, no public address: give where the folder large_files will be published"
    )
    assert not (tmp_path / "dist").exists()
    assert command.main([*words, "--url", URL]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "dist" / place)
        for place in (f"zoo/models/{ONE}", f"hub/{ONE}", f"large_files/{ONE}_v{version_of(ONE)}")
    ]
