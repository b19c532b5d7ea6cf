"""What one process knows of revocations that are kept in Redis, and how they are told there."""

from __future__ import annotations

import secrets
import threading
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.auth._revocation import (
    SKEW_US,
    Entry,
    dated,
    digest_of,
    entry_of,
    mark_digest,
    means_now,
    predates,
    subject_digest,
)
from socialflow_core.auth.memory import MemoryRevocations

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from socialflow_core._kit.clock import Clock
    from socialflow_core._kit.flow import Flow
    from socialflow_core.auth._interface import Claims, Revocation, Scope
    from socialflow_core.redislink import Argument

__all__ = ["KINDS", "MOST_TOLD", "PREFIX", "SCOPES", "Held", "Item", "Keys", "nonce"]

PREFIX = "{auth1}"
"""The number is the version of what is stored; the braces keep a cluster's keys together."""

MOST_TOLD = 100_000
"""How many changes the stream keeps, about; who misses more reads everything anew."""

_AT_ONCE = 200

KINDS: dict[Scope, str] = {"token": "t", "session": "s", "user": "u", "all": "a"}
SCOPES: dict[bytes, Scope] = {kind.encode(): scope for scope, kind in KINDS.items()}


class Keys(NamedTuple):
    """Where revocations are kept, in the order of the scripts."""

    tokens: str
    sessions: str
    users: str
    befores: str
    all: str
    tip: str
    stream: str

    @classmethod
    def of(cls, prefix: str) -> Keys:
        """The keys below *prefix*."""
        return cls(*(f"{prefix}:{name}" for name in ("t", "s", "u", "b", "a", "tip", "stream")))


Item: TypeAlias = "tuple[Sequence[str], Sequence[Argument]]"
"""KEYS and ARGV of one item of a script."""


def nonce() -> bytes:
    """What makes one change different from every other."""
    return secrets.token_bytes(8)


class Held:
    """What this process knows, and what it still has to tell. Thread-safe.

    Args:
        prefix: Keeps the keys apart from yours.
        clock: Microseconds since 1970-01-01 UTC.
    """

    def __init__(self, prefix: str = PREFIX, clock: Clock = unix_us) -> None:
        self.keys = Keys.of(prefix)
        self.local = MemoryRevocations(clock=clock)
        self._clock = clock
        # Each once, however often it is revoked while the store is away.
        self._owed: dict[tuple[Scope, bytes], Entry] = {}
        self._renew_lock()
        renew_in_forks(self, Held._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def hold(self, revocations: Iterable[Revocation]) -> list[Entry]:
        """Refuse these here from now on, and answer what to tell: some of what is owed, too."""
        entries = [entry_of(revocation) for revocation in revocations]
        self.local.learn(entry for entry in entries if not means_now(entry))
        return entries + self.take_owed(_AT_ONCE)

    def telling(self, entries: Sequence[Entry], *, owing: bool = True) -> Flow[Item, None]:
        """Tell the store, in parts that it does in no time; yields the items of `REVOKE`.

        What it does not confirm holds here, and is owed if *owing*.
        """
        for start in range(0, len(entries), _AT_ONCE):
            part = entries[start : start + _AT_ONCE]
            try:
                told = yield self._item(part)
            except BaseException:  # an interrupted or cancelled one is owed as well
                if owing:
                    self.owe(entries[start:])
                raise
            # It says from which moment on each holds.
            self.local.learn(
                entry._replace(before_us=before)
                for entry, before in zip(part, told, strict=True)
                if means_now(entry)
            )

    def owe(self, entries: Iterable[Entry]) -> None:
        """The store has not confirmed them: they hold here, and are to be told again."""
        now = self._clock()
        entries = [dated(entry, now) for entry in entries]
        self.local.learn(entries)
        with self._lock:
            for entry in entries:
                key = entry.scope, entry.name
                former = self._owed.get(key, entry)
                self._owed[key] = entry._replace(
                    before_us=max(entry.before_us, former.before_us),
                    kept_us=max(entry.kept_us, former.kept_us),
                )

    def take_owed(self, most: int | None = None) -> list[Entry]:
        """What is still to be told; told once."""
        with self._lock:
            taken = list(islice(self._owed.items(), most))
            for key, _ in taken:
                del self._owed[key]
        return [entry for _, entry in taken]

    def _item(self, entries: Sequence[Entry]) -> Item:
        args: list[Argument] = [MOST_TOLD, len(entries)]
        for scope, name, before, kept in entries:
            args += (KINDS[scope], name, before, kept, nonce())
        return self.keys, args

    def question(self, claims: Claims) -> tuple[list[str], list[Argument]]:
        """KEYS and ARGV of `ASK`."""
        keys = self.keys
        session = digest_of(claims.session) if claims.session else b""
        return (
            [keys.tokens, keys.sessions, keys.befores, keys.all],
            [mark_digest(claims), session, subject_digest(claims.subject)],
        )

    def is_revoked(self, claims: Claims, told: Sequence[Any]) -> bool:
        """What the store *told* of a token; if it is revoked, that is known here from now on."""
        token, session, user, everybody = map(int, told)
        revoked = bool(token or session) or predates(claims.issued_us, max(user, everybody))
        if revoked:
            entry = Entry("token", mark_digest(claims), 0, claims.expires_us + SKEW_US)
            self.local.learn([entry])
        return revoked
