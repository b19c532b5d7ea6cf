"""`python -m examples.service` and `python -m examples.demo`, as they are typed."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples import demo
from examples.service.development import generated_values, load_settings
from socialflow_core.config import ConfigError
from tests.examples.loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
REQUIRED = tuple(generated_values())

every_server = pytest.mark.parametrize("server", ["asgi", "wsgi"])


def environment(**changes: str) -> dict[str, str]:
    """What a process needs to find us, and *changes*: nothing of the service's settings."""
    names = ("PATH", "HOME", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


@contextmanager
def started(
    module: str, *arguments: str, folder: Path, environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A module as a process of its own, in a folder without `.env`."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def status(port: int, path: str) -> int:
    """What a request is answered with; 0 if nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def wait_for(port: int) -> None:
    """Until the service answers, at most 20 seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end and not status(port, "/health"):
        time.sleep(0.05)
    assert status(port, "/health") == 200


@every_server
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_with_nothing_and_stops_cleanly(
    server: str, stop: signal.Signals, tmp_path: Path
) -> None:
    """No server, no key: it listens on BACKEND_PORT, names what it made up, and exits with 0."""
    port = free_port()
    environ = environment(BACKEND_PORT=str(port))
    with started(
        "examples.service", "--server", server, folder=tmp_path, environ=environ
    ) as process:
        wait_for(port)
        process.send_signal(stop)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == f"{server}: http://127.0.0.1:{port}\n"
    assert all(name in err for name in REQUIRED)
    # Made-up values are 64 hexadecimal digits.
    assert not re.search(r"[0-9a-f]{32}", err)
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@every_server
def test_production_refuses_to_start_without_its_values(server: str, tmp_path: Path) -> None:
    """The list of faults, exit code 1, and nothing is made up."""
    environ = environment(APP_ENV="production")
    with started(
        "examples.service", "--server", server, folder=tmp_path, environ=environ
    ) as process:
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert out == ""
    assert err.startswith("Environment validation failed:\n")
    for name in REQUIRED:
        assert f"  \N{BULLET} {name}: required, missing\n" in err
    assert "Generated" not in err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_port_that_is_none_is_refused(port: str, tmp_path: Path) -> None:
    """Exit code 2 before anything starts."""
    environ = environment()
    with started("examples.service", "--port", port, folder=tmp_path, environ=environ) as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "must be a port from 1 to 65535" in err


def test_production_is_also_what_a_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """APP_ENV in `.env`, or under its other name: nothing is made up there either."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        load_settings({"NODE_ENV": "production"})
    (tmp_path / ".env").write_text("APP_ENV=production\n")
    with pytest.raises(ConfigError):
        load_settings({})


def test_only_what_is_missing_is_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of the environment or of `.env` stays, and a wrong one stays a fault."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"JWT_SECRET={'x' * 64}\n")
    settings, generated = load_settings({"JWT_REFRESH_SECRET": "y" * 64})
    assert set(generated) == {*REQUIRED} - {"JWT_SECRET", "JWT_REFRESH_SECRET"}
    assert settings.auth.jwt_secret.reveal() == "x" * 64
    with pytest.raises(ConfigError, match="required with TWITTER_API_KEY, missing"):
        load_settings({"TWITTER_API_KEY": "half of a pair"})
    with pytest.raises(ConfigError) as raised:
        load_settings({"DATABASE_URL": "mysql://localhost/app", "BACKEND_PORT": "none"})
    assert {"DATABASE_URL", "BACKEND_PORT"} <= {fault.variable for fault in raised.value.faults}


def test_values_that_are_all_there_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made up that is not needed; and two starts never share a value."""
    monkeypatch.chdir(tmp_path)
    assert load_settings(generated_values())[1] == ()
    one, other = generated_values(), generated_values()
    assert not {*one.values()} & {*other.values()}
    assert len({*one.values()}) == len(one)


def test_the_demo_passes_whatever_this_shell_has_set(tmp_path: Path) -> None:
    """Exit code 0, one line for each result, on any terminal."""
    environ = environment(APP_ENV="production", RATE_LIMIT_AUTH="1/h", PYTHONIOENCODING="ascii")
    (tmp_path / ".env").write_text("RATE_LIMIT_AI=1/h\n")
    with started("examples.demo", folder=tmp_path, environ=environ) as process:
        out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    table = out.rpartition("Results\n-------\n")[2].splitlines()
    assert [line.rpartition("  ")[2] for line in table[:9]] == ["passed"] * 9
    assert table[-1] == "Everything passed."
    assert out.count("=== Results: 3 passed, 0 failed ===") == 2
    assert out.count("after logout the same token is refused") == 2


def test_a_demo_that_fails_says_so_and_shows_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the row that failed, and the log of the service."""
    monkeypatch.setattr(demo, "_SERVERS", {"none": "No such server"})
    assert demo.main() == 1
    out = capsys.readouterr().out
    assert "invalid choice: 'none'" in out
    assert re.search(r"^No such server, tokens +not up, failed +FAILED$", out, re.MULTILINE)
    assert out.endswith("Not everything passed.\n")


@pytest.fixture
def heard() -> Iterator[None]:
    """A child hears SIGINT, even if whoever started the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_running(stop: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C in the middle: the service goes down with it."""
    with started("examples.demo", folder=tmp_path, environ=environment()) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "Rate Limit Tests" in line)
        process.send_signal(stop)
        process.communicate(timeout=20)
    assert process.returncode == 130
    found = re.search(r":(\d+) ===", line)
    assert found is not None
    assert status(int(found[1]), "/health") == 0
