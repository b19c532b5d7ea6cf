"""What a `socialflow_core.testing.proxy.FaultProxy` does to the bytes that it carries.

A fault is a value that judges each piece of data. It does no I/O: write your own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Literal, TypeAlias

__all__ = [
    "Blackhole",
    "Delay",
    "DropReplies",
    "Fault",
    "FlipBit",
    "Pass",
    "Reset",
    "Side",
    "Trickle",
    "Truncate",
    "Unreachable",
    "Verdict",
]

_NOW = timedelta(0)

Side: TypeAlias = Literal["request", "reply"]
"""Which way data goes: to the server, or back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a piece of data.

    Attributes:
        data: What to pass on.
        rest: What to judge again after that.
        hold: How long after its arrival to pass it on.
        pause: How long after the piece before it to pass it on.
        then: What happens afterwards. "lose": nothing gets through in this direction any
            more, also when the fault is over, since TCP loses no bytes in mid-stream.
    """

    data: bytes
    rest: bytes = b""
    hold: timedelta = _NOW
    pause: timedelta = _NOW
    then: Literal["go on", "lose", "close", "reset"] = "go on"


class Fault:
    """What is wrong with the way between a client and its server.

    Attributes:
        welcome: Whether a new connection is served, accepted without ever a word (so no
            TLS handshake either), or not even accepted.
    """

    __slots__ = ()
    welcome: ClassVar[Literal["served", "ignored", "shut out"]] = "served"

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Decide on *data*.

        Args:
            side: Which way it goes.
            passed: How many bytes this connection carried that way since the fault was set.
            data: At least one byte.
        """
        del side, passed
        return Verdict(data=data)


@dataclass(frozen=True, slots=True)
class Pass(Fault):
    """Nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Fault):
    """All data arrives *each* later, requests and replies alike; connecting does not.

    Data that waits is judged anew when the fault changes, so a very long delay holds
    everything back until then.
    """

    each: timedelta

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Hold it."""
        del side, passed
        return Verdict(data=data, hold=self.each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trickle(Fault):
    """Replies arrive byte by byte, one *every* so often."""

    every: timedelta

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Pass on the first byte."""
        del passed
        if side == "request":
            return Verdict(data=data)
        return Verdict(data=data[:1], rest=data[1:], pause=self.every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Fault):
    """The connection breaks (RST) once *after* bytes of the reply are through.

    By then the server has done what it was asked. To break it now: `FaultProxy.cut`.
    """

    after: int = 0

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Pass on what may pass."""
        if side == "request":
            return Verdict(data=data)
        return _up_to(self.after - passed, data, "reset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate(Fault):
    """The connection ends in good order (FIN) once *after* bytes of the reply are through."""

    after: int = 0

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Pass on what may pass."""
        if side == "request":
            return Verdict(data=data)
        return _up_to(self.after - passed, data, "close")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipBit(Fault):
    """One bit of the reply is wrong: *bit* (0-7, lowest first) of the byte number *at*."""

    at: int = 0
    bit: int = 0

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Flip it if it is here."""
        place = self.at - passed
        if side == "request" or not 0 <= place < len(data):
            return Verdict(data=data)
        wrong = bytes([data[place] ^ 1 << self.bit])
        return Verdict(data=data[:place] + wrong + data[place + 1 :])


@dataclass(frozen=True, slots=True)
class DropReplies(Fault):
    """Requests reach the server, which does what they say; no reply comes back."""

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Lose replies."""
        del passed
        return Verdict(data=data) if side == "request" else Verdict(data=b"", then="lose")


@dataclass(frozen=True, slots=True)
class Blackhole(Fault):
    """Connecting works, and whatever is sent vanishes, both ways."""

    welcome = "ignored"

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Lose it."""
        del side, passed, data
        return Verdict(data=b"", then="lose")


@dataclass(frozen=True, slots=True)
class Unreachable(Fault):
    """Connecting gets no answer, as if the packets got lost; present connections live on.

    Needs Linux, which ignores a newcomer while too many wait to be accepted.
    """

    welcome = "shut out"


def _up_to(room: int, data: bytes, then: Literal["close", "reset"]) -> Verdict:
    if len(data) < room:
        return Verdict(data=data)
    return Verdict(data=data[:room], then=then)
