"""The reference service killed, frozen and stopped while clients use it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 30.0
PATH = "/api/health"
LIMIT = 100  # a minute, of the general tier
CLIENTS = 4
# What a client sees of a server that is not there: never a half answer that looks whole.
LOST = "lost"

SERVERS = ["asgi", pytest.param("wsgi", marks=pytest.mark.matrix)]


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def service(server: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the service, wait until it answers, and leave nothing of it behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.service", "--server", server, "--port", str(port)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: process.poll() is not None or ask(port, "/live") == "200")
        assert process.poll() is None, "it did not start"
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(holds: Callable[[], bool]) -> None:
    """Poll, with a bound."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def ask(port: int, path: str = PATH, timeout: float = 5) -> str:
    """One request, and its status; LOST if there was no whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return LOST
    else:
        return str(answer.status)
    finally:
        connection.close()


@contextmanager
def load(port: int) -> Iterator[Counter[str]]:
    """Ask from all clients at once until the end of the block; answers the statuses seen."""
    seen: Counter[str] = Counter()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            seen[ask(port)] += 1

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: seen["429"] > CLIENTS)
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def allowed_once(seen: Counter[str]) -> bool:
    """Whether the limit was given out once; each client may have lost one answer of it."""
    return LIMIT - CLIENTS <= seen["200"] <= LIMIT


@pytest.mark.parametrize("server", SERVERS)
def test_killed_under_load_it_starts_again_at_once(server: str) -> None:
    """After kill -9 clients lose connections, get no wrong answer, and the next start works.

    Counters in memory are the process's: they begin anew, and hold again.
    """
    port = free_port()
    with service(server, port) as process, load(port) as seen:
        os.killpg(process.pid, signal.SIGKILL)
        until(lambda: bool(seen[LOST]))
    assert set(seen) == {"200", "429", LOST}
    assert allowed_once(seen)
    with service(server, port):
        again = Counter(ask(port) for _ in range(LIMIT + 1))
    assert again == {"200": LIMIT, "429": 1}


@pytest.mark.parametrize("server", SERVERS)
def test_stopped_under_load_it_leaves_cleanly(server: str) -> None:
    """After SIGTERM nobody gets an error from the service, and its exit code is 0."""
    port = free_port()
    with service(server, port) as process, load(port) as seen:
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert set(seen) <= {"200", "429", LOST}
    assert allowed_once(seen)


@pytest.mark.matrix
@pytest.mark.parametrize("server", ["asgi", "wsgi"])
def test_frozen_it_goes_on_where_it_was(server: str) -> None:
    """A frozen service answers nobody, and once thawed still knows who had spent the limit."""
    port = free_port()
    with service(server, port) as process:
        with load(port) as seen:
            os.killpg(process.pid, signal.SIGSTOP)
        assert allowed_once(seen)
        assert ask(port, timeout=0.5) == LOST
        os.killpg(process.pid, signal.SIGCONT)
        until(lambda: ask(port, "/live") == "200")
        assert ask(port) == "429"
