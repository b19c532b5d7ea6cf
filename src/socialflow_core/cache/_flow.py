"""How a value is had, step by step: ask the store, wait for others, compute, store.

`settled` answers what needs no further step. `fetch` is the rest: a flow of `_kit.flow` that
yields what it wants done, the same for threads and event loops, for memory and Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Flow, Sleep

from ._core import Found, Freshness, encode, encode_error, judge
from ._stored import Claim, Entry, Reply, Written

if TYPE_CHECKING:
    from ._core import Ask

__all__ = [
    "AWAY",
    "Compute",
    "Effect",
    "Outcome",
    "Read",
    "Refresh",
    "Release",
    "Write",
    "alone",
    "at_hand",
    "fetch",
    "recompute",
    "settled",
]

_US = timedelta(microseconds=1)
_FIRST_PAUSE_US = 2_000
_MOST_PAUSE_US = 50_000

AWAY = "the store is away: computed in this process"
_FULL = "not stored: the store takes nothing at present"
_IN_VAIN = "not stored: somebody else computes for too long"
_OVERTAKEN = "not stored: it was invalidated meanwhile"
_SLOW = "not stored: computing took longer than lock_ttl, and others began or invalidated it"
_STALE = "stale: it is being computed anew"
_SPARE = "stale: computing it anew failed"


@dataclass(frozen=True, slots=True)
class Read:
    """Ask the store, and claim what has to be computed; answered with a `Reply`.

    With *force*, no entry is good enough.
    """

    force: bool = False


@dataclass(frozen=True, slots=True)
class Compute:
    """Call the user's function; answered with its result and how long it took."""


@dataclass(frozen=True, slots=True)
class Write:
    """Store; answered with a `Written`."""

    stamp: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Release:
    """End the claim."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Run `recompute` in the background, with the claim that *reply* gave."""

    reply: Reply


Effect: TypeAlias = Read | Compute | Write | Release | Refresh | Sleep


class Outcome(NamedTuple):
    """What came out, for all who wait for it.

    Attributes:
        value: The value.
        error: What to raise instead: an error that was kept.
        computed: Whether it was computed now.
        age_us: How old it is.
        reason: Why it is not the full answer.
        entry: Its bytes, if there are any, so that everybody can have a value of their own.
        left_us: How long the store will keep that.
        overtaken: Whether it may be from before an invalidation: good for whoever asked
            before that, and for nobody who came later.
    """

    value: Any
    error: Exception | None = None
    computed: bool = False
    age_us: int = 0
    reason: str = ""
    entry: Entry | None = None
    left_us: int = 0
    overtaken: bool = False


def settled(reply: Reply, ask: Ask) -> Outcome | None:
    """The outcome, if *reply* is all that it takes."""
    found = judge(reply, ask)
    if found is None or reply.claim is Claim.MINE:
        return None
    return _usable(found, reply)


def at_hand(reply: Reply, ask: Ask) -> Outcome | None:
    """What others may have at once while whoever got *reply* computes anew, ahead of time."""
    found = judge(reply, ask)
    if found is None or reply.claim is not Claim.MINE or found.freshness is not Freshness.FRESH:
        return None
    return _handed_out(found, reply, "")


def _usable(found: Found, reply: Reply) -> Outcome | None:
    if found.freshness is Freshness.FRESH:
        return _handed_out(found, reply, "")
    return _handed_out(found, reply, _STALE) if found.freshness is Freshness.STALE else None


def _handed_out(found: Found, reply: Reply, reason: str) -> Outcome:
    # By place: this is the path that is taken most.
    return Outcome(
        found.value, found.error, False, found.age_us, reason, reply.entry, reply.left_us
    )


def fetch(ask: Ask, reply: Reply | None) -> Flow[Effect, Outcome]:
    """Have the value; *reply* is what the store has said, or None if it is away.

    Never waits longer for others than the policy says, and computes then.
    """
    limit = ask.policy.lock_ttl if ask.policy.wait is None else ask.policy.wait
    waited, pause = 0, _FIRST_PAUSE_US
    while reply is not None:
        if reply.claim is Claim.MINE:
            found = judge(reply, ask)
            if found is not None and found.freshness is Freshness.STALE:
                yield Refresh(reply)
                return _handed_out(found, reply, _STALE)
            return (yield from recompute(ask, reply))
        outcome = settled(reply, ask)
        if outcome is not None:
            return outcome
        if reply.claim is Claim.IMPOSSIBLE:
            return (yield from _by_itself(ask, _FULL, reply))
        # An entry that cannot be read was taken for a good one by the store.
        force = reply.entry is not None and judge(reply, ask) is None
        if not (force and reply.claim is Claim.NONE):
            if waited >= limit // _US:
                return (yield from _by_itself(ask, _IN_VAIN, reply))
            yield Sleep(pause * _US)
            waited, pause = waited + pause, min(2 * pause, _MOST_PAUSE_US)
        try:
            reply = yield Read(force=force)
        except UnavailableError:
            reply = None
    return (yield from _by_itself(ask, AWAY, None))


def alone(ask: Ask) -> Flow[Effect, Outcome]:
    """Have the value without waiting any longer for whoever computes it."""
    return (yield from _by_itself(ask, _IN_VAIN, None))


def _by_itself(ask: Ask, reason: str, reply: Reply | None) -> Flow[Effect, Outcome]:
    """Compute without a claim, and keep nothing."""
    try:
        value, took = yield Compute()
    except Exception:
        found = judge(reply, ask) if reply is not None else None
        if found is None or reply is None or found.error is not None:
            raise
        return _handed_out(found, reply, _SPARE)
    entry = encode(value, took, ask)
    kept = entry if isinstance(entry, Entry) else None
    return Outcome(value, computed=True, reason=reason, entry=kept)


def recompute(ask: Ask, reply: Reply) -> Flow[Effect, Outcome]:
    """Compute with the claim that *reply* gave, and store what comes out."""
    try:
        value, took = yield Compute()
        entry = encode(value, took, ask)
    except Exception as error:
        kept = encode_error(error, 0, ask)
        if kept is not None:
            yield from _store(reply, kept)
            raise
        yield from _release()
        found = judge(reply, ask)
        if found is None or found.error is not None:
            raise
        return _handed_out(found, reply, "" if found.freshness is Freshness.FRESH else _SPARE)
    except BaseException:
        yield from _release()
        raise
    if isinstance(entry, str):
        yield from _release()
        return Outcome(value, computed=True, reason=entry)
    written, reason = yield from _store(reply, entry)
    overtaken = written is Written.OVERTAKEN
    if overtaken:
        reason = _SLOW if took >= ask.policy.lock_ttl // _US else _OVERTAKEN
    return Outcome(
        value,
        computed=True,
        reason=reason,
        entry=entry,
        left_us=entry.keep_us,
        overtaken=overtaken,
    )


def _store(reply: Reply, entry: Entry) -> Flow[Effect, tuple[Written, str]]:
    try:
        written: Written = yield Write(reply.stamp, entry)
    except UnavailableError:
        return Written.REFUSED, AWAY
    return written, _FULL if written is Written.REFUSED else ""


def _release() -> Flow[Effect, None]:
    try:
        yield Release()
    except UnavailableError:
        return  # it ends by itself
