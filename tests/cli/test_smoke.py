"""The command `smoke ratelimit`, against real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from examples.asgi.rate_limit import RateLimitMiddleware
from examples.rate_limit_rules import RateLimitOptions, Rule
from socialflow_core.cli import main
from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter
from tests.examples.loopback import free_port, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from examples.asgi.rate_limit import Receive, Scope, Send

RULES = (
    Rule("/api/auth", (Limit("auth", Rate.parse("10/15m")),)),
    Rule("/api/ai", (Limit("ai", Rate.parse("30/minute")),)),
    Rule("/api", (Limit("general", Rate.parse("100/minute")),)),
)

PASSED = """\
=== Rate Limit Tests against {url} ===
── Auth limiter (POST /api/auth/login, limit=10) ──
✓ 11th request returns 429 (got 429)
── AI limiter (POST /api/ai/analyze-image, limit=30) ──
✓ 31st request returns 429 (got 429)
── General limiter (GET /api/health, limit=100) ──
✓ 101st request returns 429 (got 429)
=== Results: 3 passed, 0 failed ===
"""


@contextmanager
def service() -> Iterator[str]:
    """A service that keeps the contract; answers its URL."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await receive()
            return
        status = 200 if scope["path"] == "/api/health" else 401
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body"})

    options = RateLimitOptions(rules=RULES)
    with served(RateLimitMiddleware(app, AsyncMemoryRateLimiter(), options)) as server:
        yield f"http://127.0.0.1:{server.port}"


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], object], port: int = 0) -> Iterator[str]:
    """A server that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET  # noqa: N815 -- the standard library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_it_passes_and_prints_what_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    """To the line, exit code 0; a second run at once meets the open windows."""
    with service() as url:
        assert main(["smoke", "ratelimit", f"{url}/"]) == 0
        assert capsys.readouterr().out == PASSED.format(url=url)
        assert main(["smoke", "ratelimit", url]) == 1
    again = capsys.readouterr().out
    assert "✗ 11th request returns 429 (got 429 on the 1st)" in again
    assert "requests before this run count too" in again
    assert "=== Results: 0 passed, 3 failed ===" in again


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: the same result as one document."""
    with service() as url:
        assert main(["smoke", "ratelimit", url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["url"], told["passed"], told["failed"]) == (url, 3, 0)
    assert told["checks"][0] == {
        "name": "Auth",
        "method": "POST",
        "path": "/api/auth/login",
        "limit": 10,
        "passed": True,
        "at": 11,
        "status": 429,
        "faults": [],
        "hints": [],
    }


def test_an_absent_server_is_told_and_waited_for_no_longer_than_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """000 for each tier, exit code 1."""
    assert main(["smoke", "ratelimit", f"http://127.0.0.1:{free_port()}", "--wait", "300ms"]) == 1
    out = capsys.readouterr().out
    assert out.count("(got 000 on the 1st)") == 3
    assert out.count("hint: 000: the server was not reached (ConnectionRefusedError)") == 3


def test_a_server_that_comes_up_late_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """With --wait, the checks begin when the server answers."""
    port = free_port()
    done: list[int] = []
    arguments = ["smoke", "ratelimit", f"http://127.0.0.1:{port}", "--wait", "20s"]
    thread = threading.Thread(target=lambda: done.append(main(arguments)))
    thread.start()
    with answering(lambda handler: handler.send_error(404), port):
        thread.join(30)
    assert done == [1]
    assert "got 404" in capsys.readouterr().out


def test_redirects_are_not_followed(capsys: pytest.CaptureFixture[str]) -> None:
    """A redirect is an answer, and not the promised one."""

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "http://127.0.0.1:1/")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with answering(elsewhere) as url:
        assert main(["smoke", "ratelimit", url]) == 1
    assert "(got 302 on the 1st)" in capsys.readouterr().out


def test_nonsense_instead_of_http_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that speaks something else is told as not reached, with what went wrong."""
    with answering(lambda handler: handler.wfile.write(b"nonsense\n")) as url:
        assert main(["smoke", "ratelimit", url]) == 1
    assert "not reached (BadStatusLine)" in capsys.readouterr().out


def test_a_proxy_in_the_environment_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limits are tried directly: a proxy would be the client."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with service() as url:
        assert main(["smoke", "ratelimit", url]) == 0
    assert "3 passed" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(encoding: str) -> None:
    """Signs that the output cannot show become plain ones."""
    done = subprocess.run(
        [sys.executable, "-m", "socialflow_core.cli", "smoke", "ratelimit", "http://127.0.0.1:1"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"")
    sign = "✗" if encoding == "utf-8" else "x"
    assert f"{sign} 11th request returns 429" in done.stdout.decode(encoding)


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ["localhost:3001"],
            ["ftp://localhost"],
            ["http://"],
            ["http://[::1"],
            ["http://x:99999"],
        ),
        *(["http://user:secret@localhost"], ["--wait", "soon"], ["--wait"]),
    ],
)
def test_a_wrong_command_line_is_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and a secret in the URL is not repeated."""
    with pytest.raises(SystemExit) as raised:
        main(["smoke", "ratelimit", *arguments])
    assert raised.value.code == 2
    assert "secret" not in capsys.readouterr().err


def test_an_ipv6_address_is_written_with_its_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    """The URL is printed as it can be used again."""
    assert main(["smoke", "ratelimit", "http://[::1]:1/base/"]) == 1
    assert "against http://[::1]:1/base ===" in capsys.readouterr().out
