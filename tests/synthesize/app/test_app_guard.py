"""The guard of the app's server: token, host, origin and size, before the application sees a request."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from medical_image_synthesis.app.guard import Guard

TOKEN = "a-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def size(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def client(any_host: bool = False, base: str = "http://127.0.0.1:8000") -> TestClient:
    inner = Starlette(routes=[Route("/", size), Route("/cases", size, methods=["GET", "POST"])])
    return TestClient(Guard(inner, TOKEN, 8000, any_host, most_bytes=10), base_url=base, follow_redirects=False)


def test_nobody_gets_in_without_the_token() -> None:
    for headers in (
        {},
        {"Authorization": "Bearer other"},
        {"Authorization": TOKEN},
        {"Cookie": "synthesize_8000=other"},
    ):
        answer = client().get("/cases", headers=headers)
        assert (answer.status_code, TOKEN in answer.text) == (401, False)
    assert client().get("/cases?token=a-token").status_code == 401  # in the address of the page alone
    assert client().get("/cases", headers=BEARER).text == "0"


def test_the_address_with_the_token_leaves_it_in_a_cookie() -> None:
    page = client()
    answer = page.get("/?token=a-token")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["set-cookie"] == "synthesize_8000=a-token; Path=/; HttpOnly; SameSite=Strict"
    page.cookies.set("synthesize_8000", TOKEN)
    assert page.get("/").status_code == 200
    assert client().get("/?token=other").status_code == 401


@pytest.mark.parametrize("other", ['seen={"a":1}', "name=J. Doe", "path=x", "flag"])
def test_cookies_of_other_servers_of_this_machine_lock_nobody_out(other: str) -> None:
    cookies = {"Cookie": f"{other}; synthesize_8000=a-token"}
    assert client().get("/cases", headers=cookies).status_code == 200


def test_another_name_is_answered_only_where_the_user_opened_the_server() -> None:
    assert client(base="http://evil.example:8000").get("/cases", headers=BEARER).status_code == 403
    assert client(base="http://evil.example:8000").get("/?token=a-token").status_code == 403
    assert client(any_host=True, base="http://node7:8000").get("/cases", headers=BEARER).status_code == 200


@pytest.mark.parametrize("headers", [{"Host": "[::1"}, {"Origin": "http://[x]"}])
def test_a_host_or_origin_that_is_no_address_is_refused(headers: dict[str, str]) -> None:
    assert client().get("/cases", headers={**BEARER, **headers}).status_code in (400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9000", "null"])
def test_a_page_of_another_site_is_refused_though_the_browser_sends_the_cookie(origin: str) -> None:
    page = client()
    page.cookies.set("synthesize_8000", TOKEN)
    assert page.post("/cases", content=b"1", headers={"Origin": origin}).status_code == 403
    assert page.post("/cases", content=b"1", headers={"Origin": "http://127.0.0.1:8000"}).text == "1"


def test_a_body_that_is_too_long_or_of_unknown_length_is_not_read() -> None:
    assert client().post("/cases", content=b"0123456789", headers=BEARER).text == "10"
    assert client().post("/cases", content=b"01234567890", headers=BEARER).status_code == 413
    assert client().post("/cases", content=iter([b"0"]), headers=BEARER).status_code == 411
    without = client().build_request("POST", "/cases", headers=BEARER)
    del without.headers["Content-Length"]  # as curl -X POST sends it
    assert client().send(without).text == "0"
    chunked = {**BEARER, "Transfer-Encoding": "chunked"}
    assert client().post("/cases", content=b"0", headers=chunked).status_code == 411


def test_every_answer_forbids_scripts_of_others() -> None:
    for answer in (client().get("/cases"), client().get("/cases", headers=BEARER)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "'unsafe-inline'" not in policy
        assert "'unsafe-eval'" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
