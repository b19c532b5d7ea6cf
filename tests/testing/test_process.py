"""A server process can be hurt in every way, and never outlives us."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import socialflow_core
from socialflow_core._kit.errors import MissingExtraError
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.process import ServerProcess, free_port, program

SOURCE = Path(socialflow_core.__file__).parents[1]

# Whoever reads these lines knows that the program is up.
SLEEPER = ["/bin/sh", "-c", "echo ready; exec sleep 600"]
STUBBORN = ["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]


@pytest.fixture
def process() -> Iterator[ServerProcess]:
    """A process that does nothing."""
    process = ServerProcess("sleeper")
    process.start(SLEEPER)
    wait_until(lambda: "ready" in process.log, "it is up")
    yield process
    process.close()


def state_of(pid: int) -> str:
    """The kernel's letter for a process: S(leeping), T (stopped)...; nothing if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def test_freeze_is_in_force_when_it_returns(process: ServerProcess) -> None:
    """Frozen is frozen, twice too; thawed goes on."""
    for _ in range(2):
        process.freeze()
        process.freeze()
        assert state_of(process.pid) == "T"
        assert process.running
        process.thaw()
        wait_until(lambda: state_of(process.pid) != "T", "it goes on")


def test_a_frozen_one_can_be_ended(process: ServerProcess) -> None:
    """Neither kill nor close waits for an answer that cannot come."""
    process.freeze()
    process.kill()
    assert not process.running
    process.start(SLEEPER)
    process.freeze()
    process.close()
    assert not process.running
    assert not process.folder.exists()


def test_one_that_does_not_listen_is_killed(process: ServerProcess) -> None:
    """Who ignores the request to end is ended."""
    process.start(STUBBORN)
    wait_until(lambda: "ready" in process.log, "it is up")
    process.grace = 0.05
    process.terminate()
    assert not process.running


def test_closing_twice_or_unstarted_is_no_error(process: ServerProcess) -> None:
    """Ending what has ended, or never began, does nothing."""
    process.close()
    process.close()
    unstarted = ServerProcess("unstarted")
    with pytest.raises(RuntimeError, match="unstarted has not been started"):
        unstarted.freeze()
    unstarted.close()
    assert not unstarted.folder.exists()


KILLED = """
import os, signal
from socialflow_core.testing.servers.process import ServerProcess
process = ServerProcess("orphan")
process.start(["/bin/sleep", "600"])
print(process.pid, process.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_dies_with_us() -> None:
    """Of a killed test run nothing is left: no process, no folder."""
    run = subprocess.run(
        [sys.executable, "-c", KILLED],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL
    pid, folder = run.stdout.split()
    # A container may have nobody who reaps orphans: a zombie is dead enough.
    wait_until(lambda: state_of(int(pid)) in {"", "Z"}, "the server is gone")
    wait_until(lambda: not Path(folder).exists(), "its folder is gone")


def test_a_free_port_is_out_of_harms_way() -> None:
    """It can be bound, and no outgoing connection is ever given it."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        port = free_port()
        assert port + 10_000 < lowest
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_port_in_use_is_not_free() -> None:
    """Of two ports the one that nobody holds is chosen, every time."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        assert {free_port(range(port, port + 2)) for _ in range(20)} <= {port + 1}


def test_a_wheel_that_is_missing_names_the_command() -> None:
    """Neither an unknown wheel nor an unknown program in it is passed over."""
    for wheel, name in (("no-such-wheel", "server"), ("pytest", "no-such-program")):
        with pytest.raises(MissingExtraError, match=r"pip install .socialflow-core\[servers\]"):
            program(wheel, name)
