"""The command `smoke auth`: against the reference service, and against one that is wrong."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.service import asgi
from examples.service.accounts import Accounts
from examples.service.development import generated_values
from socialflow_core._kit.flow import run
from socialflow_core.cli import main
from socialflow_core.cli._smoke_auth import STEPS, life
from socialflow_core.cli._smoke_contract import Response
from socialflow_core.config.settings import load
from socialflow_core.wiring import Core
from tests.examples.loopback import free_port, served

if TYPE_CHECKING:
    from socialflow_core.cli._smoke import Effects, Request


class Service:
    """Answers each step as it should be, but for one; remembers what it was asked."""

    def __init__(self, wrong: int = -1, instead: Response | None = None) -> None:
        self.asked: list[Request] = []
        self._wrong = wrong
        self._instead = instead

    def perform(self, effect: Effects) -> Response:
        """Answer the next step."""
        number = len(self.asked)
        self.asked.append(effect)  # type: ignore[arg-type]  # -- it asks for nothing else
        if number == self._wrong and self._instead is not None:
            return self._instead
        plan = STEPS[number]
        headers = (("WWW-Authenticate", "Bearer"),) if plan.expected == 401 else ()
        told = {"token": f"a{number}", "refreshToken": f"r{number}"} if plan.tokens else {}
        return Response(plan.expected, headers, json.dumps(told).encode())


def test_a_good_service_passes_every_step() -> None:
    """What is shown is what was given last, and the old access token is not shown again."""
    service = Service()
    done = run(life("a@b.c", "secret", register=True), service.perform)
    assert [step.what for step in done] == [plan.what for plan in STEPS]
    assert not any(step.faults for step in done)
    assert [each.token for each in service.asked] == ["", "", "a1", "", "a3", "r3", "a3", "a3", ""]


@given(
    wrong=st.integers(0, len(STEPS) - 1),
    status=st.sampled_from([0, 200, 201, 204, 401, 403, 404, 429, 500, 503]),
    body=st.sampled_from(
        [
            b"",
            b"{}",
            b"[]",
            b"no",
            b'{"token": 1, "refreshToken": null}',
            b'{"token": "a\\nb", "refreshToken": "r"}',
        ]
    ),
)
def test_any_other_answer_fails_and_ends_it(wrong: int, status: int, body: bytes) -> None:
    """At the step where it came, with a reason."""
    service = Service(wrong, Response(status, (), body, "refused"))
    done = run(life("a@b.c", "secret", register=True), service.perform)
    plan = STEPS[wrong]
    fine = status == plan.expected and not plan.tokens and status != 401
    assert bool(done[wrong].faults) is not fine
    assert len(done) == (len(STEPS) if fine else wrong + 1)


@pytest.mark.parametrize(
    ("challenge", "is_good"),
    [
        ("bearer", True),
        ('Basic realm="a", BEARER realm="b"', True),
        ("Bearerish", False),
        ("Basic", False),
    ],
)
def test_a_challenge_is_read_as_rfc_9110_writes_it(challenge: str, is_good: bool) -> None:  # noqa: FBT001 -- a parameter
    """Schemes have no case, and there may be several."""
    number = next(n for n, plan in enumerate(STEPS) if plan.expected == 401)
    service = Service(number, Response(401, (("WWW-Authenticate", challenge),), b""))
    done = run(life("a@b.c", "secret", register=True), service.perform)
    assert bool(done[number].faults) is not is_good


def test_no_secret_is_said() -> None:
    """Neither tokens nor passwords: not by a request's repr, and not by what failed."""
    service = Service(5, Response(200))
    done = run(life("a@b.c", "secret", register=True), service.perform)
    told = repr(done) + repr([each for each in service.asked if each.token])
    assert not any(secret in told for secret in ("a1", "a3", "r3", "secret"))


def test_the_reference_service_passes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an account of its own, with one that is there, and in JSON."""
    settings = load(environ=generated_values() | {"RATE_LIMIT_AUTH": "1000/1m"}, env_file=None)
    accounts = Accounts()
    with Core(settings) as core, served(asgi.application(core, accounts)) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert main(["smoke", "auth", url, "--wait", "5s"]) == 0
        assert "✓ after logout the same token is refused" in capsys.readouterr().out
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{accounts.password}\n"))
        assert main(["smoke", "auth", url, "--email", accounts.email, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["passed"], len(told["steps"])) == (True, len(STEPS) - 1)
        monkeypatch.setattr(sys, "stdin", io.StringIO("wrong\n"))
        assert main(["smoke", "auth", url, "--email", accounts.email]) == 1
        assert "got 401, not 200" in capsys.readouterr().out


def test_nobody_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The first step fails, and says why."""
    assert main(["smoke", "auth", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "000: the server was not reached" in capsys.readouterr().out
