"""`socialflow-core smoke`: try a running service from outside."""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, assert_never
from urllib.parse import urlsplit

from socialflow_core import __version__
from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.flow import Now, Sleep, run
from socialflow_core._kit.grammar import GrammarError, parse_duration

from ._smoke import TIERS, Check, Effects, Request, Tier, check, ordinal, until_it_answers
from ._smoke_auth import STEPS, life
from ._smoke_contract import Response

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["add"]

_TIMEOUT = 10.0
_MOST_BODY = 65_536


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `smoke ratelimit` and `smoke auth`."""
    smoke = commands.add_parser("smoke", help="try a running service from outside")
    checks = smoke.add_subparsers(metavar="check", required=True)
    ratelimit = checks.add_parser(
        "ratelimit",
        help="send each limiter one request more than it allows",
        description="Sends 11, 31 and 101 requests without a token, directly (no proxy, no"
        " redirects), and checks that only the last of each is refused, and how.",
        epilog="The requests count: a run within the window of another sees an early 429.",
    )
    ratelimit.set_defaults(run=_ratelimit)
    auth = checks.add_parser(
        "auth",
        help="see that tokens open, and that after logout they do not",
        description="Registers an account of its own, logs it in, refreshes, logs it out, and"
        " checks that the same token is refused then. It sends 9 requests to /api/auth.",
        epilog="With --email an account is used that is there; its password is read from stdin.",
    )
    auth.add_argument("--email", help="an account that is there, instead of a new one")
    auth.set_defaults(run=_auth)
    for each in (ratelimit, auth):
        each.add_argument(
            "target",
            metavar="URL",
            nargs="?",
            type=_target,
            default="http://localhost:3001",
            help="where the service listens (default: %(default)s)",
        )
        each.add_argument(
            "--wait",
            metavar="DURATION",
            type=_duration,
            help="let the server take so long to answer at all, such as 30s",
        )
        each.add_argument("--json", action="store_true", help="print the result as JSON")


class _Target(NamedTuple):
    """A service's address, taken apart."""

    scheme: str
    host: str
    port: int | None
    base: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.base}"

    def perform(self, effect: Effects) -> object:
        """Do what a flow asks for."""
        match effect:
            case Request():
                return self._send(effect)
            case Sleep():
                time.sleep(effect.duration.total_seconds())
                return None
            case Now():
                return unix_us()
            case _:
                assert_never(effect)

    def _send(self, request: Request) -> Response:
        secure = self.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        # One connection a request: a kept one would show one replica out of several.
        connection = kind(self.host, self.port, timeout=_TIMEOUT)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"socialflow-core/{__version__}",
        }
        if request.token:
            headers["Authorization"] = f"Bearer {request.token}"
        try:
            connection.request(request.method, self.base + request.path, request.body, headers)
            answer = connection.getresponse()
            return Response(answer.status, tuple(answer.getheaders()), answer.read(_MOST_BODY))
        except (OSError, http.client.HTTPException) as error:
            return Response(0, failure=type(error).__name__)
        finally:
            connection.close()


def _target(text: str) -> _Target:
    try:
        url = urlsplit(text)
        if url.scheme in {"http", "https"} and url.hostname and "@" not in url.netloc:
            return _Target(url.scheme, url.hostname, url.port, url.path.rstrip("/"))
    except ValueError:
        pass
    raise argparse.ArgumentTypeError("must be a URL such as http://localhost:3001")


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except GrammarError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _ratelimit(arguments: argparse.Namespace) -> int:
    target: _Target = arguments.target
    say = _nothing if arguments.json else _say
    say(f"=== Rate Limit Tests against {target} ===")
    if arguments.wait is not None:
        run(until_it_answers(arguments.wait), target.perform)
    done: list[Check] = []
    for tier in TIERS:
        say(_title(tier))
        done.append(run(check(tier), target.perform))
        say(*_lines(done[-1]))
    failed = sum(not each.passed for each in done)
    say(f"=== Results: {len(done) - failed} passed, {failed} failed ===")
    if arguments.json:
        counts = {"passed": len(done) - failed, "failed": failed}
        told = {"url": str(target), **counts, "checks": [_record(each) for each in done]}
        _say(json.dumps(told, indent=2))
    return 1 if failed else 0


def _auth(arguments: argparse.Namespace) -> int:
    target: _Target = arguments.target
    say = _nothing if arguments.json else _say
    say(f"=== Token Tests against {target} ===")
    if arguments.wait is not None:
        run(until_it_answers(arguments.wait), target.perform)
    if arguments.email:
        email, password = arguments.email, sys.stdin.readline().rstrip("\r\n")
    else:
        email = f"smoke-{secrets.token_hex(8)}@example.invalid"
        password = secrets.token_urlsafe(16)
    done = run(life(email, password, register=not arguments.email), target.perform)
    for step in done:
        say(f"{'✗' if step.faults else '✓'} {step.what}", *(f"    {each}" for each in step.faults))
    passed = done[-1].what == STEPS[-1].what and not done[-1].faults
    say(f"=== Results: {'passed' if passed else 'failed'} ===")
    if arguments.json:
        told = {"url": str(target), "passed": passed, "steps": [each._asdict() for each in done]}
        _say(json.dumps(told, indent=2))
    return 0 if passed else 1


def _title(tier: Tier) -> str:
    request = f"{tier.request.method} {tier.request.path}"
    return f"── {tier.name} limiter ({request}, limit={tier.limit}) ──"


def _lines(done: Check) -> list[str]:
    due = done.tier.limit + 1
    early = "" if done.at == due else f" on the {ordinal(done.at)}"
    mark = "✓" if done.passed else "✗"
    return [
        f"{mark} {ordinal(due)} request returns 429 (got {done.status:03}{early})",
        *(f"    fault: {fault}" for fault in done.faults),
        *(f"    hint: {hint}" for hint in done.hints),
    ]


def _record(done: Check) -> dict[str, object]:
    return {
        "name": done.tier.name,
        "method": done.tier.request.method,
        "path": done.tier.request.path,
        "limit": done.tier.limit,
        "passed": done.passed,
        "at": done.at,
        "status": done.status,
        "faults": done.faults,
        "hints": done.hints,
    }


def _nothing(*_: str) -> None:
    """Keep quiet: JSON alone goes out."""


def _say(*lines: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        # A terminal or a file without these signs gets the nearest ones it has.
        plain = line.translate({ord("─"): "-", ord("✓"): "+", ord("✗"): "x"})
        print(line if _fits(line, encoding) else plain, flush=True)


def _fits(line: str, encoding: str) -> bool:
    try:
        line.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
