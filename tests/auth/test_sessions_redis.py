"""Sessions in Redis: one round trip a step, keys that expire, and honest when nobody answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError
from socialflow_core.auth import Issued
from socialflow_core.auth.redis import RedisSessions
from socialflow_core.testing.sessions import session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from socialflow_core.testing.servers.valkey import Valkey

PATIENT = timedelta(seconds=10)
GRACE = timedelta(seconds=30)
WEEK_MS = 7 * 86_400_000


@pytest.fixture
def store(valkey: Valkey) -> Iterator[RedisSessions]:
    """A store."""
    store = RedisSessions.from_url(valkey.url, deadline=PATIENT)
    yield store
    store.close()


def test_each_step_is_one_trip(valkey: Valkey, store: RedisSessions) -> None:
    """Once the server knows the scripts."""
    session = session_of()
    first, second = (Issued(name, session.began_us, session.expires_us) for name in "ab")
    far = session.ends_us

    def turn() -> object:
        return store.turn(session.id, "a", second, grace=GRACE, until_us=far)

    steps: list[Callable[[], object]] = [
        lambda: store.begin(session, first),
        turn,
        lambda: store.sessions("ann"),
        lambda: store.rename("ann", session.id, "phone"),
        lambda: store.end(session.id, until_us=far),
    ]
    for step in steps:
        step()
    for step in steps:
        before = valkey.round_trips()
        step()
        assert valkey.round_trips() - before == 1


def test_every_key_expires(valkey: Valkey, store: RedisSessions) -> None:
    """A session with its last refresh token, a list with its last session, twenty minutes later."""
    session = session_of()
    store.begin(session, Issued("a", session.began_us, session.expires_us))
    keys = valkey.command("KEYS", "*")
    assert isinstance(keys, list)
    assert len(keys) == 2
    for key in keys:
        left = valkey.command("PTTL", str(key))
        assert isinstance(left, int)
        assert WEEK_MS + 1_190_000 < left <= WEEK_MS + 1_200_000
    store.end(session.id, until_us=unix_us() + 10**9)
    keys = valkey.command("KEYS", "*session:*")
    assert keys == []


def test_nobody_answers(valkey: Valkey) -> None:
    """Every step says so in time."""
    store = RedisSessions.from_url(valkey.url)
    session = session_of()
    first = Issued("a", session.began_us, session.expires_us)
    store.begin(session, first)
    valkey.freeze()
    try:
        steps: list[Callable[[], object]] = [
            lambda: store.begin(session, first),
            lambda: store.turn(session.id, "a", first, grace=GRACE, until_us=session.ends_us),
            lambda: store.sessions("ann"),
            lambda: store.rename("ann", session.id, "phone"),
            lambda: store.end(session.id, until_us=session.ends_us),
        ]
        for step in steps:
            with pytest.raises(UnavailableError):
                step()
    finally:
        valkey.thaw()
    store.close()


def test_no_token_is_stored(valkey: Valkey, store: RedisSessions) -> None:
    """Ids and times, and what the user sees; that is all."""
    session = session_of(name="phone")
    store.begin(session, Issued("a", session.began_us, session.expires_us))
    keys = valkey.command("KEYS", "*session:*")
    assert isinstance(keys, list)
    kept = valkey.command("HKEYS", str(keys[0]))
    assert isinstance(kept, list)
    assert sorted(map(str, kept)) == [
        *("began", "ends", "expires", "former", "id", "issued", "jti"),
        *("name", "owner", "subject", "turned", "used"),
    ]
