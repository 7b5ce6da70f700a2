"""The configuration of a node: what is read from it, and what is refused, in a sentence with its place."""

from __future__ import annotations

import argparse
import os
import warnings
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
import yaml

from common.errors import ConfigError, UserError
from medical_image_synthesis.node.command import serve
from medical_image_synthesis.node.settings import settings_in

PLAIN = {
    "callers": [{"ae_title": "SCANNER", "address": "10.1.2.0/24"}],
    "destinations": {"pacs": {"ae_title": "PACS", "host": "10.1.2.3", "port": 104}},
    "routes": [{"modality": "MR", "body_part": "head|brain", "description": "t1", "bundle": "mr2ct", "to": "pacs"}],
}


def written(folder: Path, **changes: object) -> Path:
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump({**PLAIN, **changes}))
    return path


def test_what_is_not_given_is_safe(tmp_path: Path) -> None:
    settings = settings_in(written(tmp_path))
    assert (settings.host, settings.port, settings.ae_title) == ("127.0.0.1", 11112, "SYNTHESIZE")
    assert settings.spool == tmp_path / "spool"
    assert settings.routes[0].refused == "nothing"
    assert settings.admits("SCANNER", "10.1.2.77")
    assert settings.admits("SCANNER", "::ffff:10.1.2.77")
    assert not settings.admits("SCANNER", "10.1.3.77")
    assert not settings.admits("OTHER", "10.1.2.77")


def test_a_route_takes_its_bundles_modality_alone_unless_it_says_another(tmp_path: Path) -> None:
    plain = {"called": "MR2CT", "bundle": "mr2ct", "to": "pacs"}
    other = {**plain, "options": {"accept_modality": True}}
    one, any_other = settings_in(written(tmp_path, routes=[plain, other])).routes
    for modality, by_one in (("MR", True), ("SR", False)):
        headers = {"modality": modality}
        assert (one.matches("MR2CT", headers), any_other.matches("MR2CT", headers)) == (by_one, True)


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"modality": "MR", "body_part": "HEAD", "description": "Sag T1 MPRAGE"}, True),
        ({"modality": "MR", "body_part": "Brain ", "description": "T1"}, True),
        ({"modality": "MR", "body_part": "HEADNECK", "description": "T1"}, False),
        ({"modality": "MR", "body_part": "HEAD", "description": "T2"}, False),
        ({"modality": "CT", "body_part": "HEAD", "description": "T1"}, False),
        ({"modality": "MR", "description": "T1"}, False),
    ],
)
def test_a_route_takes_a_series_that_meets_all_of_its_conditions(
    tmp_path: Path, headers: dict[str, str], taken: bool
) -> None:
    (route,) = settings_in(written(tmp_path)).routes
    assert route.matches("SYNTHESIZE", headers) is taken


ROUTE = PLAIN["routes"][0]
PACS = PLAIN["destinations"]["pacs"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prot": 104}, "unknown setting prot: choose ae_title, callers"),
        ({"port": "104"}, "port: '104' is not a whole number from 0 to 65535: write it without quotes"),
        ({"ae_title": "A" * 17}, "ae_title 'AAAAAAAAAAAAAAAAA' is no AE title: give 1 to 16 characters"),
        ({"callers": None}, "callers: no list with an entry: say who may send"),
        (
            {"callers": [{"ae_title": "A", "address": "pacs"}]},
            "callers: entry 1: address 'pacs' is no IP",
        ),
        ({"destinations": {}}, "destinations: no destination: name one"),
        (
            {"destinations": {"pacs": {**PACS, "tls": True}}},
            "destinations: pacs: tls without a certificate",
        ),
        ({"destinations": {"pacs": {"url": "pacs"}}}, "destinations: pacs: url 'pacs' is no address of HTTP"),
        ({"destinations": {"pacs": {"ae_title": "A", "port": 104}}}, "destinations: pacs: host is missing: add it"),
        ({"routes": [{**ROUTE, "to": "web"}]}, "routes: entry 1: no destination web: choose pacs"),
        ({"routes": [{**ROUTE, "refused": "pdf"}]}, "routes: entry 1: refused is 'pdf': choose image or nothing"),
        ({"routes": [{**ROUTE, "body_part": "("}]}, r"routes: entry 1: body_part '(' is no regular expression"),
        (
            {"routes": [{"bundle": "mr2ct", "to": "pacs"}]},
            "routes: entry 1: no condition, so that it takes every",
        ),
        ({"routes": [{**ROUTE, "options": {"refuse": False}}]}, "routes: entry 1: refuse: false, but a refused case"),
        ({"routes": [{**ROUTE, "bundle": "mr2tc"}]}, "no bundle mr2tc: did you mean mr2ct?"),
        ({"routes": [{**ROUTE, "bundle": "brain3d"}]}, "routes: entry 1: brain3d_alphagan cannot be used here"),
        ({"limits": {"associations": 0}}, "limits: associations: 0 is not a whole number from 1"),
        ({"host": ""}, "host is empty: give one, or omit it"),
        ({"destinations": {"pacs": {**PACS, "host": ""}}}, "destinations: pacs: host is empty: give one"),
        ({"callers": [{"ae_title": 5, "address": "10.1.2.3"}]}, "callers: entry 1: ae_title is 5, no text"),
        ({"callers": [{"ae_title": "A", "address": "10.1.2.3/24"}]}, "address '10.1.2.3/24' is no IP"),
        ({"routes": [{**ROUTE, "to": ["pacs"]}]}, "routes: entry 1: no destination ['pacs']: choose pacs"),
        ({"routes": [{**ROUTE, "refused": ["image"]}]}, "refused is ['image']: choose image or nothing"),
        ({"routes": [{**ROUTE, "modality": ["MR"]}]}, "modality is ['MR'], no text"),
        (
            {"routes": [{**ROUTE, "options": {"seed": date(2024, 1, 1)}}]},
            "routes: entry 1: options hold what is neither",
        ),
        ({"limits": {"spool_gb": float("nan")}}, "limits: spool_gb: nan is not a number"),
        ({"tls": {"certificate": "node.pem"}}, "tls: key is missing: add it"),
        ({"tls": {"certificate": "a", "key": "b", "authorities": "c"}}, "a (certificate): check the path"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        settings_in(written(tmp_path, **changes))
    assert message in str(caught.value)


def test_a_file_that_is_no_yaml_or_makes_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    for text in ("routes: [", "routes: !!python/object/apply:os.getcwd []", "- 1"):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"node\.yaml"):
            settings_in(path)


def test_a_password_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xff\xfe\xff")
    web = {"url": "https://pacs/dicom-web", "username": "node", "password_file": "password"}
    with pytest.raises(ConfigError, match="destinations: pacs: cannot read"):
        settings_in(written(tmp_path, destinations={"pacs": web}))


def test_nothing_that_quotes_a_value_is_warned_of(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        with warnings.catch_warnings(record=True) as told:
            with suppress(UserError):
                serve(argparse.Namespace(config=written(tmp_path, prot=104), check=False))
            warnings.warn("PATIENT", stacklevel=1)
        assert told == []
    finally:
        os.umask(mask)
