"""The reference service: two servers, one behaviour."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, TypeAlias

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient as AsgiClient
from werkzeug.test import Client as WsgiClient

from examples.service import asgi, wsgi
from examples.service.accounts import Accounts
from examples.service.development import generated_values
from examples.service.endpoints import MOST_BODY
from socialflow_core.config.settings import load
from socialflow_core.testing.poll import wait_until
from socialflow_core.wiring import Core
from tests.examples.loopback import Server, served, served_wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

Twin: TypeAlias = tuple[Server, Accounts]


@pytest.fixture(params=["asgi", "wsgi"])
def twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    """Either of the two, on a socket, with fresh counters."""
    accounts = Accounts()
    with Core(load(environ=generated_values(), env_file=None)) as core:
        if request.param == "asgi":
            serving = served(asgi.application(core, accounts))
        else:
            serving = served_wsgi(wsgi.application(core, accounts))
        with serving as server:
            yield server, accounts


def login(twin: Twin) -> str:
    """A token."""
    server, accounts = twin
    body = json.dumps({"email": accounts.email, "password": accounts.password}).encode()
    answer = server("/api/auth/login", "POST", body, Content_Type="application/json")
    assert answer.status == 200
    return str(json.loads(answer.body)["token"])


def test_a_tier_has_one_counter_for_all_its_paths(twin: Twin) -> None:
    """Ten at `/api/auth/*`, good logins and unknown paths included, then 429."""
    server, _ = twin
    token = login(twin)
    for path in ("/api/auth/me", "/api/auth/login", "/api/auth/other"):
        for _ in range(3):
            assert server(path, Authorization=f"Bearer {token}").status in {200, 404, 405}
    assert server("/api/auth/login", "POST", b"{}", Content_Type="application/json").status == 429
    assert server("/api/health").limits["ratelimit-remaining"] == "99"


def test_the_expensive_paths_share_a_tier_and_want_a_token(twin: Twin) -> None:
    """401 without a token until the limit of 30, then 429."""
    server, _ = twin
    paths = ("/api/ai/analyze-image", "/api/tts", "/api/translation")
    statuses = [server(paths[n % 3], "POST").status for n in range(31)]
    assert statuses == [401] * 30 + [429]


def test_a_token_opens_what_has_no_provider(twin: Twin) -> None:
    """With a token the answer is honest: nothing does the work here."""
    server, _ = twin
    token = login(twin)
    for path in ("/api/ai/analyze-image", "/api/tts", "/api/translation"):
        shown = {"Authorization": f"bearer {token}", "Content_Type": "application/json"}
        answer = server(path, "POST", b"x", **shown)
        assert (answer.status, json.loads(answer.body)["success"]) == (503, False)
    me = server("/api/auth/me", Authorization=f"Bearer {token}")
    assert json.loads(me.body)["email"] == "demo@example.com"


def test_no_form_changes_anything(twin: Twin) -> None:
    """Every POST has to say that its body is JSON; without a body it must not say otherwise.

    A form of another site says one of these, and the browser shows it the cookies it gets.
    """
    server, _ = twin
    index = json.loads(server("/").body)["endpoints"]
    forms = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
    paths = [line.removeprefix("POST ") for line in index if line.startswith("POST ")]
    assert len(paths) == 7
    for number, path in enumerate(paths):
        for body in (b"", b"{}"):
            answer = server(path, "POST", body, Content_Type=forms[number % 3])
            code = json.loads(answer.body)["code"]
            assert (answer.status, code) in {
                (415, "UNSUPPORTED_MEDIA_TYPE"),
                (429, "TOO_MANY_REQUESTS"),
            }
            assert not answer.all("Set-Cookie")
    written = server("/api/tts", "POST", b"{}", Content_Type="Application/JSON ; charset=utf-8")
    assert written.status == 401


def test_two_tokens_are_no_token(twin: Twin) -> None:
    """Which of them a proxy has looked at, nobody knows."""
    server, _ = twin
    line = f"Authorization: Bearer {login(twin)}\r\n"
    for lines, status in ((line, b" 200 "), (line * 2, b" 401 ")):
        with socket.create_connection(("127.0.0.1", server.port), 10) as client:
            head = f"GET /api/auth/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n"
            client.sendall(head.encode())
            assert status in client.makefile("rb").readline()


def test_cookies_may_come_in_lines() -> None:
    """As over HTTP/2 (RFC 9113, 8.2.3): an ASGI server need not join them."""
    lines = Headers(raw=[(b"cookie", b"a=b"), (b"cookie", b"c=d"), (b"x", b"1"), (b"x", b"2")])
    assert asgi.joined(lines) == {"cookie": "a=b; c=d", "x": "1,2"}


def test_a_client_that_goes_is_no_fault(twin: Twin, caplog: pytest.LogCaptureFixture) -> None:
    """In the midst of its body: counted as a bad request, and no traceback is logged."""
    server, _ = twin
    head = "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    gone = b'http_requests_total{route="none",status="400"} 1\n'
    wait_until(lambda: gone in server("/metrics").body, "it is counted")
    assert b'status="500"' not in server("/metrics").body
    assert not caplog.records


def test_the_rest_of_the_api_shares_the_general_tier(twin: Twin) -> None:
    """A hundred a minute, whether the path exists or not."""
    server, _ = twin
    statuses = [server(("/api/health", "/api/none")[n % 2]).status for n in range(101)]
    assert statuses == [200, 404] * 50 + [429]


def test_what_stands_outside_of_the_api_is_free(twin: Twin) -> None:
    """Probes and metrics are answered however often, and carry no headers about limits."""
    server, _ = twin
    for path in ("/", "/health", "/live", "/ready", "/metrics"):
        answers = [server(path) for _ in range(12)]
        assert {answer.status for answer in answers} == {200}
        assert not any(answer.limits for answer in answers)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"email":"demo@example.com","password":"wrong"}', 401),
        (b'{"email":"other@example.com","password":"\\ud800"}', 401),
        (b'{"email":"demo@example.com"}', 400),
        (b'{"email":1,"password":2}', 400),
        (b"[]", 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b"", 400),
    ],
)
def test_a_wrong_login_is_told_in_json(twin: Twin, body: bytes, status: int) -> None:
    """Each with the headers about limits: failures count."""
    server, _ = twin
    answer = server("/api/auth/login", "POST", body, Content_Type="application/json")
    assert answer.status == status
    told = json.loads(answer.body)
    assert list(told) == ["success", "code", "message"]
    assert told["success"] is False
    assert answer.limits["ratelimit-limit"] == "10"
    assert answer.all("WWW-Authenticate") == (["Bearer"] if status == 401 else [])


def test_a_huge_body_is_refused() -> None:
    """413, in JSON, once a megabyte has been read; not sent over sockets, which would break."""
    accounts, huge = Accounts(), b"x" * (MOST_BODY + 1)
    with Core(load(environ=generated_values(), env_file=None)) as core:
        asgi_client = AsgiClient(asgi.application(core, accounts))
        answered = asgi_client.post("/api/auth/login", content=huge)
        told = WsgiClient(wsgi.application(core, accounts)).post("/api/auth/login", data=huge)
    assert (answered.status_code, answered.json()["code"]) == (413, told.get_json()["code"])
    assert (told.status_code, told.headers["RateLimit-Remaining"]) == (413, "8")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/none", 404, "NOT_FOUND"),
        ("GET", "/health/", 404, "NOT_FOUND"),
        ("GET", "/api//health", 404, "NOT_FOUND"),
        ("GET", "/api/auth/login", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/health", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_what_is_not_there_is_told_in_json(
    twin: Twin, method: str, path: str, status: int, code: str
) -> None:
    """404 and 405 look like every other answer; 405 says what is allowed."""
    server, _ = twin
    answer = server(path, method)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    assert answer.all("Content-Type") == ["application/json"]
    assert bool(answer.all("Allow")) is (status == 405)


def test_health_is_the_report_of_the_core(twin: Twin) -> None:
    """Each capability with its engine and its state."""
    server, _ = twin
    told = json.loads(server("/health").body)
    assert told["status"] == "ok"
    assert {"name": "rate-limits", "state": "enabled", "engine": "memory", "reason": ""} in told[
        "capabilities"
    ]
    assert json.loads(server("/api/health").body) == told


def test_metrics_are_counted_and_readable(twin: Twin) -> None:
    """Prometheus text: every line is a comment or a sample, and the numbers are right."""
    server, _ = twin
    for _ in range(11):
        server("/api/auth/login", "POST", b"{}", Content_Type="application/json")
    server("/no/such/path")
    answer = server("/metrics")
    assert answer.all("Content-Type") == ["text/plain; version=0.0.4; charset=utf-8"]
    lines = answer.body.decode().splitlines()
    assert all(
        re.fullmatch(r'# (HELP|TYPE) .*|\w+\{(\w+="[^"\\]*",?)*\} \d+', line) for line in lines
    )
    assert 'http_requests_total{route="/api/auth/login",status="400"} 10' in lines
    assert 'http_requests_total{route="none",status="404"} 1' in lines
    assert 'rate_limit_decisions_total{limit="auth",allowed="true"} 10' in lines
    assert 'rate_limit_decisions_total{limit="auth",allowed="false"} 1' in lines


def test_a_token_is_shown_as_a_bearer_token(twin: Twin) -> None:
    """Nothing else opens, and who shows nothing is told what is wanted."""
    server, _ = twin
    token = login(twin)
    assert server("/api/auth/me", Authorization=f"Bearer {token}").status == 200
    for shown in (f"Basic {token}", "Bearer", f"Bearer {token[:-2]}"):
        answer = server("/api/auth/me", Authorization=shown)
        assert answer.status == 401
        told = {name.lower(): value for name, value in answer.headers}
        assert told["www-authenticate"].startswith("Bearer")
