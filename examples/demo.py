"""`python -m examples.demo`: start the reference service, check it from outside, stop it.

Once under ASGI and once under WSGI. What a newcomer sees first, and what CI runs too.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from examples.service.development import generated_values
from socialflow_core.config.settings import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[1]
_SERVERS = {"asgi": "Starlette on uvicorn", "wsgi": "Flask on gunicorn"}
_CHECKS = {"auth": "tokens", "ratelimit": "rate limits"}
_START = _STOP = 20.0  # seconds that a service may take
_SMOKE = 60.0


class Row(NamedTuple):
    """A line of the table at the end."""

    what: str
    result: str
    passed: bool


def main() -> int:
    """Run it all, and answer the exit code: 0 if everything passed."""
    environ = _environment()
    with tempfile.TemporaryDirectory() as folder:
        rows = [_config_check(environ, folder)]
        for server in _SERVERS:
            rows += _round(server, environ, folder)
    _heading("Results")
    first, second = (max(map(len, column)) for column in list(zip(*rows, strict=True))[:2])
    for what, result, fine in rows:
        print(f"{what:<{first}}  {result:<{second}}  {'passed' if fine else 'FAILED'}")
    passed = all(row.passed for row in rows)
    print(f"\n{'Everything passed.' if passed else 'Not everything passed.'}")
    return 0 if passed else 1


def _environment() -> dict[str, str]:
    """This shell's, without the service's settings; an `.env` is left behind by another folder."""
    known = {
        name
        for variables in schema().values()
        for variable in variables
        for name in (variable.name, variable.alias)
    }
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    others = {name: value for name, value in os.environ.items() if name not in known}
    return others | {"PYTHONPATH": path}


def _config_check(environ: dict[str, str], folder: str) -> Row:
    _heading("The environment of a service: socialflow-core config check")
    done = _run(("socialflow_core.cli", "config", "check"), environ | generated_values(), folder)
    return Row("environment", f"exit code {done.returncode}", done.returncode == 0)


def _round(server: str, environ: dict[str, str], folder: str) -> Iterator[Row]:
    """Try the service once for each check: counts in memory end with it, and they count."""
    name = _SERVERS[server]
    for check, about in _CHECKS.items():
        _heading(f"{name}: python -m examples.service --server {server}, smoke {check}")
        yield from _try(server, check, f"{name}, {about}", environ, folder)


def _try(server: str, check: str, name: str, environ: dict[str, str], folder: str) -> Iterator[Row]:
    with _service(server, environ, folder) as (process, port, log):
        began = time.monotonic()
        up = _comes_up(process, port)
        took = f"up after {time.monotonic() - began:.1f} s" if up else "not up"
        smoke = ("socialflow_core.cli", "smoke", check, f"http://127.0.0.1:{port}")
        done = _run(smoke, environ, folder)
        result = done.stdout.rpartition("=== Results: ")[2].partition(" ===")[0]
        code = _stopped(process)
        fine = up and done.returncode == 0
        yield Row(name, f"{took}, {result or 'no result'}", fine)
        yield Row(f"{name}, SIGTERM", f"exit code {code}", code == 0)
        if not (fine and code == 0):
            _heading(f"{name}: its log")
            log.seek(0)
            print(log.read())


@contextmanager
def _service(
    server: str, environ: dict[str, str], folder: str
) -> Iterator[tuple[subprocess.Popen[bytes], int, IO[str]]]:
    """The service as a process of its own; whatever happens, none of it is left running."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "examples.service", "--server", server, "--port", str(port)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(
            command,
            env=environ,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Gunicorn's worker is ended with its master, and Ctrl-C comes through us.
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process, port, log
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def _comes_up(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == http.client.OK:
                return True
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    return False


def _stopped(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code after SIGTERM; None if it does not stop in time."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        return process.wait(_STOP)
    return None


def _run(
    module: tuple[str, ...], environ: dict[str, str], folder: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m` *module*, and show what it prints."""
    command = [sys.executable, "-m", *module]
    environ = environ | {"PYTHONIOENCODING": "utf-8"}
    try:
        done = subprocess.run(
            command,
            env=environ,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=_SMOKE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(command, 1, f"still running after {_SMOKE:.0f} s")
    _show(done.stdout)
    return done


def _heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def _show(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding).rstrip(), flush=True)


if __name__ == "__main__":
    # Who ends this by SIGTERM does not want to leave a service behind either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = main()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
