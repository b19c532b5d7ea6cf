"""Just enough of Redis's protocol to ask a test server, with no client under test."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, TypeAlias

from socialflow_core._kit.errors import CoreError

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Control", "Reply", "ReplyError", "parse_info"]


class ReplyError(CoreError):
    """The server answered with an error; its text is ours."""


Reply: TypeAlias = "str | int | ReplyError | list[Reply] | None"
"""What a server answers; text that is no UTF-8 shows its bytes as surrogates."""


class Control:
    """One connection to a server at 127.0.0.1.

    Args:
        port: Where it listens.
        password: Sent first, if there is one.
        limit: How long one answer may take.
    """

    def __init__(self, port: int, password: str | None, limit: timedelta) -> None:
        self.sent = 0
        self._socket = socket.create_connection(("127.0.0.1", port), limit.total_seconds())
        self._answers = self._socket.makefile("rb")
        try:
            if password is not None:
                self.ask("AUTH", password)
        except BaseException:
            self.close()
            raise

    def ask(self, *words: str | int) -> Reply:
        """Send one command and await its answer.

        Raises:
            ReplyError: If the answer is an error.
            OSError: If none came in time. Close this then: it may come later.
        """
        self.sent += 1
        request = [f"*{len(words)}\r\n".encode()]
        for word in words:
            data = str(word).encode(errors="surrogateescape")
            request.append(b"$%d\r\n%b\r\n" % (len(data), data))
        self._socket.sendall(b"".join(request))
        answer = self._read()
        if isinstance(answer, ReplyError):
            raise answer
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._socket.close()

    def _read(self) -> Reply:
        line = self._text(self._answers.readline())
        kind, rest = line[:1], line[1:]
        if kind == "-":
            return ReplyError(rest)
        if kind == "+":
            return rest
        if kind not in {":", "$", "*"}:
            raise ConnectionError("who answers there speaks another protocol")
        number = int(rest)
        if kind == ":":
            return number
        if number < 0:
            return None
        if kind == "*":
            return [self._read() for _ in range(number)]
        return self._text(self._answers.read(number + 2))

    def _text(self, data: bytes) -> str:
        if not data.endswith(b"\r\n"):
            raise ConnectionError("the server hung up")
        return data[:-2].decode(errors="surrogateescape")


def parse_info(text: Reply) -> dict[str, str]:
    r"""Read the answer to INFO: `name:value` lines, under titles that begin with a #.

    >>> from socialflow_core.testing.servers.resp import parse_info
    >>> parse_info("# Server\r\nredis_version:9.1\r\n")
    {'redis_version': '9.1'}
    """
    lines = (line.partition(":") for line in str(text).splitlines())
    return {name: value for name, colon, value in lines if colon}
