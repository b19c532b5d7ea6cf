"""Two processes of the reference service on one Valkey are one service to a caller."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from examples.service.development import generated_values
from socialflow_core import cli
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests.examples.loopback import Server, free_port
from tests.examples.test_service_process import environment, started, status, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


_SOON = timedelta(seconds=2)  # it is milliseconds; a busy machine may take its time


@contextmanager
def two_processes(valkey: Valkey, folder: Path, **more: str) -> Iterator[dict[str, int]]:
    """The service twice on one Valkey, under either framework; their ports."""
    environ = environment(**generated_values(), REDIS_URL=valkey.url, **more)
    ports = {"asgi": free_port(), "wsgi": free_port()}
    with ExitStack() as stack:
        for server, port in ports.items():
            arguments = ("examples.service", "--server", server, "--port", str(port))
            stack.enter_context(started(*arguments, folder=folder, environ=environ))
        for port in ports.values():
            wait_for(port)
        yield ports


def serves(port: int) -> bool:
    """Whether a caller is let through."""
    return status(port, "/api/health") == 200


def test_two_processes_share_their_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever answers, ASGI or WSGI, a hit counts for both; and the smoke passes."""
    with (
        Valkey() as valkey,
        two_processes(valkey, tmp_path, RATE_LIMIT_STORE="redis") as ports,
    ):
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


def test_two_processes_share_who_is_logged_in(tmp_path: Path) -> None:
    """A token of one opens the other, until it is logged out at either, and soon at both."""
    with Valkey() as valkey, two_processes(valkey, tmp_path) as ports:
        for here, there in (("asgi", "wsgi"), ("wsgi", "asgi")):
            one, other = Server(ports[here]), Server(ports[there])
            account = {"email": f"{here}@example.com", "password": "a good password"}
            body = json.dumps(account).encode()
            assert (
                one("/api/auth/register", "POST", body, Content_Type="application/json").status
                == 201
            )
            token = json.loads(
                one("/api/auth/login", "POST", body, Content_Type="application/json").body
            )["token"]
            shown = f"Bearer {token}"
            assert other("/api/auth/me", Authorization=shown).status == 200
            assert other("/api/auth/logout", "POST", Authorization=shown).status == 200
            assert other("/api/auth/me", Authorization=shown).status == 401
            wait_until(partial(is_refused, one, shown), "it is refused there too", within=_SOON)


def is_refused(server: Server, shown: str) -> bool:
    """Whether a token is not good any more."""
    return server("/api/auth/me", Authorization=shown).status == 401
