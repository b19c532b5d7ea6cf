"""What an entry is worth, and what a computed value becomes: the decisions of a cache."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from ._stored import Entry, Kind

if TYPE_CHECKING:
    from ._interface import Codec, Policy, Ttl
    from ._stored import Reply

__all__ = [
    "Ask",
    "Found",
    "Freshness",
    "check_key",
    "checked_tags",
    "eagerness",
    "encode",
    "encode_error",
    "in_us",
    "judge",
    "sure_us",
]

_US = timedelta(microseconds=1)
# No draw makes -ln of a random number above 2**-53 larger than this.
_MOST_EAGER = 37.0
# A century: what is kept for longer is kept for ever, and no store counts so far.
_MOST_US = 36_525 * 86_400_000_000
_PLAIN = (str, int, float, bool, type(None))


class Ask(NamedTuple):
    """One question to a cache; *early* is what `eagerness` drew for it."""

    key: str
    tags: tuple[str, ...]
    ttl: Ttl[Any]
    codec: Codec[Any]
    policy: Policy
    most_bytes: int
    early: float = 0.0


class Freshness(Enum):
    """What an entry may be used for."""

    FRESH = "fresh"
    STALE = "stale"
    """To be handed out while the value is computed anew."""
    SPARE = "spare"
    """To be handed out if that fails."""
    GONE = "gone"


class Found(NamedTuple):
    """An entry, read.

    Attributes:
        value: The value; None if there is none.
        error: The error to raise instead, if that is what was kept.
        age_us: How long ago it was computed.
        freshness: What it may be used for.
    """

    value: Any
    error: Exception | None
    age_us: int
    freshness: Freshness


def check_key(key: str) -> None:
    """Refuse what is no key.

    Raises:
        TypeError: If it is no str.
        ValueError: If it is empty.
    """
    if not isinstance(key, str):
        raise TypeError(f"a key is a str, not {type(key).__name__}")
    if not key:
        raise ValueError("a key has at least one character")


def checked_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """*tags* in order, each once.

    Raises:
        TypeError: If they are no tuple of str.
        ValueError: If one is empty.
    """
    if not isinstance(tags, tuple) or not all(isinstance(tag, str) for tag in tags):
        raise TypeError("tags are a tuple of str")
    if not all(tags):
        raise ValueError("a tag has at least one character")
    return tuple(sorted(set(tags)))


def in_us(duration: timedelta) -> int:
    """*duration* in microseconds, at most a century."""
    return min(duration // _US, _MOST_US)


def eagerness(beta: float, uniform: float) -> float:
    """How many times its computing time before its end to compute a value anew (XFetch).

    *uniform* is a random number from 0 (excluded) to 1: the lower, the rarer, the earlier.

    >>> eagerness(1.0, 1.0), round(eagerness(2.0, 0.5), 3)
    (0.0, 1.386)
    """
    return -math.log(uniform) * beta + 0.0


def sure_us(entry: Entry, beta: float) -> int:
    """For how long *entry* is fresh whatever number is drawn for `eagerness`."""
    if entry.kind is not Kind.VALUE:
        return 0
    return max(0, entry.fresh_us - math.ceil(entry.took_us * beta * _MOST_EAGER))


def judge(reply: Reply, ask: Ask) -> Found | None:
    """What the entry of *reply* is worth; None if there is none that can be read."""
    entry = reply.entry
    if entry is None or (entry.kind is not Kind.ERROR and entry.codec != ask.codec.name):
        return None
    value, error = None, None
    if entry.kind is Kind.VALUE:
        try:
            value = ask.codec.decode(entry.payload)
        except Exception:  # noqa: BLE001 -- whatever a codec raises: it is no such value any more
            return None
    elif entry.kind is Kind.ERROR:
        error = _decode_error(entry, ask.policy)
        if error is None:
            return None
    age = max(0, entry.keep_us - reply.left_us)
    freshness = _freshness(age - entry.fresh_us, entry, ask.policy)
    return None if freshness is Freshness.GONE else Found(value, error, age, freshness)


def _freshness(over: int, entry: Entry, policy: Policy) -> Freshness:
    if over < 0:
        return Freshness.FRESH
    if entry.kind is not Kind.VALUE:  # that something failed is not worth more than trying again
        return Freshness.GONE
    if over < policy.stale_while_revalidate // _US:
        return Freshness.STALE
    if over < policy.stale_if_error // _US:
        return Freshness.SPARE
    return Freshness.GONE


def encode(value: Any, took_us: int, ask: Ask) -> Entry | str:
    """The entry of a computed value, or why it is not kept; empty if that was asked for."""
    policy = ask.policy
    if value is None:
        fresh = in_us(policy.negative_ttl)
        return Entry(b"", ask.codec.name, fresh, fresh, took_us, Kind.NONE) if fresh else ""
    ttl = ask.ttl(value) if callable(ask.ttl) else ask.ttl
    if ttl is None:
        return ""
    if ttl <= timedelta(0):
        raise ValueError("ttl must be longer than zero")
    fresh = in_us(ttl)
    try:
        payload = ask.codec.encode(value)
    except Exception as error:  # noqa: BLE001 -- a value that cannot be kept can still be handed out
        # The type alone, for an error's text may hold the value.
        return f"not stored: the codec {ask.codec.name} fails with {type(error).__name__}"
    if len(payload) > ask.most_bytes:
        return f"not stored: larger than {ask.most_bytes} bytes"
    stale = in_us(max(policy.stale_while_revalidate, policy.stale_if_error))
    return Entry(payload, ask.codec.name, fresh, fresh + stale, took_us)


def encode_error(error: Exception, took_us: int, ask: Ask) -> Entry | None:
    """The entry of an error that is to be kept; None if it is not."""
    if type(error) not in ask.policy.negative:
        return None
    if not all(type(argument) in _PLAIN for argument in error.args):
        return None
    payload = json.dumps([_name(type(error)), *error.args]).encode("ascii")
    if len(payload) > ask.most_bytes:
        return None
    fresh = in_us(ask.policy.negative_ttl)
    return Entry(payload, "error", fresh, fresh, took_us, Kind.ERROR)


def _decode_error(entry: Entry, policy: Policy) -> Exception | None:
    try:
        name, *arguments = json.loads(entry.payload)
        for kind in policy.negative:
            if _name(kind) == name:
                return kind(*arguments)
    except Exception:  # noqa: BLE001 -- what cannot be built anew is computed anew
        return None
    return None


def _name(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
