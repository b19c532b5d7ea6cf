"""Two processes of the reference service on one Valkey are one service to a caller."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from socialflow_core import cli
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests.examples.loopback import free_port
from tests.examples.test_service_process import environment, started, status, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def serves(port: int) -> bool:
    """Whether a caller is let through."""
    return status(port, "/api/health") == 200


def test_two_processes_share_their_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever answers, ASGI or WSGI, a hit counts for both; and the smoke passes."""
    with ExitStack() as stack:
        valkey = stack.enter_context(Valkey())
        environ = environment(REDIS_URL=valkey.url, RATE_LIMIT_STORE="redis")
        ports = {"asgi": free_port(), "wsgi": free_port()}
        for server, port in ports.items():
            arguments = ("examples.service", "--server", server, "--port", str(port))
            stack.enter_context(started(*arguments, folder=tmp_path, environ=environ))
        for port in ports.values():
            wait_for(port)

        answers = [status(port, "/api/health") for _ in range(50) for port in ports.values()]
        assert answers == [200] * 100
        assert [status(port, "/api/health") for port in ports.values()] == [429, 429]

        valkey.command("FLUSHALL")
        for port in ports.values():  # each refuses for a moment what it knows to be over
            wait_until(partial(serves, port), "it asks again")
        valkey.command("FLUSHALL")
        assert cli.main(["smoke", "ratelimit", f"http://127.0.0.1:{ports['asgi']}"]) == 0
        assert "3 passed, 0 failed" in capsys.readouterr().out
        # What one process saw, the other knows.
        assert status(ports["wsgi"], "/api/health") == 429
