"""A server program as a child process, whatever the server."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from socialflow_core._kit.errors import CoreError, MissingExtraError
from socialflow_core.testing.poll import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LaunchError", "ServerProcess", "free_port", "program"]

# Below the ports that Linux and macOS give to outgoing connections. From among those a
# client that knocks at a server that is down can be given that very port: then it talks
# to itself, and the server cannot come back. The upper end leaves room for a second port,
# 10000 above, that is also below (Valkey's cluster bus).
_PORTS = range(10_000, 22_000)

# The shell waits for a word from us. If we die without one, however that happens, it
# reads the end of the pipe instead.
_GUARD = 'read -r _ || { kill -KILL "$1"; rm -rf "$2"; }'


class LaunchError(CoreError):
    """A server did not start.

    Attributes:
        log: The end of what it wrote.
    """

    def __init__(self, what: str, log: str) -> None:
        super().__init__(f"{what}; the end of its log:\n{log or '(nothing)'}")
        self.log = log


def free_port(among: range = _PORTS) -> int:
    """A port of 127.0.0.1 that nobody holds now; be ready to try again if that changes."""
    while True:
        port = secrets.choice(among)
        with socket.socket() as probe:
            # Else the connections that an ended server left behind would count as holders.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def program(wheel: str, name: str) -> Path:
    """Where the installed *wheel* keeps its program *name*; nothing of it is imported.

    Raises:
        MissingExtraError: If the wheel is not installed, or not for this platform.
    """
    try:
        files = metadata.files(wheel) or []
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError("servers") from error
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    raise MissingExtraError("servers")


class ServerProcess:
    """One server program and the folder that it works in.

    It dies with us, also when we are killed: a small shell holds a pipe to us and, when
    that breaks, kills the server and removes the folder. (`PR_SET_PDEATHSIG` would tie it
    to the thread that started it instead.) Both live in sessions of their own, so that a
    Ctrl-C in the terminal reaches us alone.

    Attributes:
        folder: Where it works; removed by `close`.
        grace: Seconds that it has to end when asked to.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.grace = 5.0
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self._child: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str | Path]) -> None:
        """Run *command* in the folder, after what ran there before; its output is the log."""
        self.terminate()
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", str(self._child.pid), str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process, or what was the process."""
        return self._started.pid

    @property
    def running(self) -> bool:
        """Whether it lives, frozen or not."""
        return self._child is not None and self._child.poll() is None

    @property
    def log(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""

    def freeze(self) -> None:
        """Stop it in its tracks: it keeps its sockets, and answers nothing until `thaw`."""
        self._started.send_signal(signal.SIGSTOP)
        # Until the kernel says so it may still be running on the other core.
        wait_until(self._is_stopped, f"{self.name} is frozen")

    def thaw(self) -> None:
        """Let it go on; nothing happens if it is not frozen."""
        self._started.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as if it had crashed."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end; kill it if it does not within `grace`."""
        if self._child is not None:
            self.thaw()
            self._end(signal.SIGTERM)

    def close(self) -> None:
        """Terminate it and remove its folder."""
        self.terminate()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._child

    def _is_stopped(self) -> bool:
        # WNOWAIT leaves the news in place, so that freezing twice is no error.
        news = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, news) is not None

    def _end(self, how: signal.Signals) -> None:
        child = self._started
        child.send_signal(how)
        try:
            child.wait(self.grace)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if self._guard is not None:
            self._guard.communicate(b"done\n")
            self._guard = None
