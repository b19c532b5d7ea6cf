"""Where `limits` keeps the counts: what is refused at the door, and what its errors become."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.aio.storage import MemoryStorage as AsyncMemoryStorage
from limits.errors import StorageError
from limits.storage import MemoryStorage

from socialflow_core.ratelimit import Limit, Rate, Strategy, UnavailableError
from socialflow_core.ratelimit.limits import AsyncLimitsRateLimiter, LimitsRateLimiter
from socialflow_core.testing.clock import ManualClock

DAY = Rate(3, per=timedelta(days=1))


class Away(MemoryStorage):
    """A storage whose server does not answer; what its driver raises is its own."""

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """As the storages of drivers declare them."""
        return (ConnectionError,)

    def get(self, key: str) -> int:
        """Fail as a driver does."""
        raise ConnectionError(key)


class Wrapping(MemoryStorage):
    """A storage that was told to wrap its driver's errors."""

    def get(self, key: str) -> int:
        """Fail as `limits` does then."""
        raise StorageError(ConnectionError(key))


class AsyncAway(AsyncMemoryStorage):
    """`Away`, awaited."""

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """As the storages of drivers declare them."""
        return ConnectionError

    async def get(self, key: str) -> int:
        """Fail as a driver does."""
        raise ConnectionError(key)


@pytest.mark.parametrize(
    ("limit", "lacks"),
    [
        (Limit("x", DAY, strategy=Strategy.TOKEN_BUCKET), "no token-bucket"),
        (Limit("x", Rate(1, per=timedelta(milliseconds=1500))), "whole seconds"),
        (Limit("x", Rate(1, per=timedelta(milliseconds=1))), "whole seconds"),
    ],
)
def test_what_limits_cannot_count_is_refused_at_the_door(limit: Limit, lacks: str) -> None:
    """The error names the limit and what is missing, and nothing was counted."""
    limiter = LimitsRateLimiter(MemoryStorage())
    for ask in (limiter.hit, limiter.peek, limiter.reset):
        with pytest.raises(ValueError, match=f"limit x: .*{lacks}"):
            ask("alice", limit)


@pytest.mark.parametrize("storage", [Away(), Wrapping()])
def test_a_storage_that_is_away_is_an_unavailable_error(storage: MemoryStorage) -> None:
    """The driver's error stays as its cause, and callers need to know only ours."""
    limiter = LimitsRateLimiter(storage)
    with pytest.raises(UnavailableError, match="rate limit store") as caught:
        limiter.hit("alice", Limit("x", DAY))
    assert isinstance(caught.value.__cause__, ConnectionError | StorageError)


def test_so_it_is_when_awaited() -> None:
    """The same for an async storage."""
    limiter = AsyncLimitsRateLimiter(AsyncAway())
    with pytest.raises(UnavailableError) as caught:
        asyncio.run(limiter.hit("alice", Limit("x", DAY)))
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_key_cannot_be_forged_with_separators() -> None:
    """What one caller's key holds never makes it another limit's or caller's key."""
    limiter = LimitsRateLimiter(MemoryStorage())
    one = Rate(1, per=timedelta(days=1))
    keys = ["a/b", "a%2Fb", "a%252Fb", "a", "b"]
    assert all(limiter.hit(key, Limit("x", one)) for key in keys)
    assert not any(limiter.hit(key, Limit("x", one)) for key in keys)


def test_strategies_do_not_share_a_key() -> None:
    """Another way of counting begins anew, instead of meeting the other's data."""
    limiter = LimitsRateLimiter(MemoryStorage())
    for strategy in (Strategy.FIXED_WINDOW, Strategy.SLIDING_WINDOW):
        assert limiter.hit("alice", Limit("x", DAY, strategy=strategy), cost=3)


def test_refused_hits_do_not_grow_the_count() -> None:
    """After a refusal the storage holds what was allowed, and no more."""
    storage, limit = MemoryStorage(), Limit("x", DAY)
    limiter = LimitsRateLimiter(storage)
    assert [limiter.hit("alice", limit).allowed for _ in range(5)] == [True] * 3 + [False] * 2
    assert set(storage.storage.values()) == {3}


def test_a_hit_that_loses_the_race_is_refused() -> None:
    """If another caller takes the last one between judging and counting, the answer is no."""

    class Racing(MemoryStorage):
        def incr(self, key: str, expiry: float, amount: int = 1) -> int:
            super().incr(key, expiry, amount=3)
            return super().incr(key, expiry, amount=amount)

    assert not LimitsRateLimiter(Racing()).hit("alice", Limit("x", DAY))


def test_a_refusal_always_says_later() -> None:
    """Even if the storage's clock has passed the reset already."""
    ahead = ManualClock(4_000_000_000_000_000)
    limiter = LimitsRateLimiter(MemoryStorage(), clock=ahead)
    decisions: list[Any] = [limiter.hit("alice", Limit("x", DAY)) for _ in range(4)]
    assert decisions[-1].retry_after > timedelta(0)
    assert decisions[-1].now_us == ahead()


class Plain(MemoryStorage):
    """A storage whose keys can be seen."""

    def written(self) -> list[str]:
        """All that it keeps."""
        return [*self.storage, *self.events]


@pytest.mark.parametrize("key", ["a b", "a\r\nset x", "\N{SNOWMAN}" * 1024, "x" * 1024, "\x00"])
@pytest.mark.parametrize("moving_window", [False, True])
def test_every_store_takes_the_keys(key: str, moving_window: bool) -> None:  # noqa: FBT001 -- a parameter
    """Memcached, the narrowest, wants up to 250 printable characters without spaces."""
    storage = Plain()
    limiter = LimitsRateLimiter(storage, moving_window=moving_window)
    rate = Rate(10**9, per=timedelta(seconds=9))
    for strategy in (Strategy.FIXED_WINDOW, Strategy.SLIDING_WINDOW):
        limiter.hit(key, Limit("n" * 64, rate, strategy=strategy))
    for written in storage.written():
        assert written.isascii()
        assert written.isprintable()
        assert " " not in written
        assert len(f"{written}/expires") <= 250


def test_a_storage_may_lack_a_way_to_count() -> None:
    """It is refused at the door, for the limits that need it only."""

    class Narrow(MemoryStorage):
        """As memcached: no moving window."""

        def __getattribute__(self, name: str) -> Any:
            if name in {"acquire_entry", "get_moving_window"}:
                raise AttributeError(name)
            return super().__getattribute__(name)

    limiter = LimitsRateLimiter(Narrow(), moving_window=True)
    assert limiter.hit("alice", Limit("x", DAY))
    with pytest.raises(ValueError, match="limit x: this storage has no moving-window"):
        limiter.hit("alice", Limit("x", DAY, strategy=Strategy.SLIDING_WINDOW))


@pytest.fixture(scope="module")
def clock() -> Iterator[ManualClock]:
    """The time, also that of `limits`, in the test's hands."""
    clock = ManualClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: clock() / 1_000_000)
        yield clock


@pytest.mark.parametrize("strategy", [Strategy.FIXED_WINDOW, Strategy.SLIDING_WINDOW])
@pytest.mark.parametrize("moving_window", [False, True])
@given(hits=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), max_size=20))
def test_retry_is_never_early(
    clock: ManualClock,
    strategy: Strategy,
    moving_window: bool,  # noqa: FBT001 -- a parameter
    hits: list[tuple[int, int]],
) -> None:
    """A refused hit is allowed after *retry_after*; and nothing is spent after *reset_after*."""
    limiter = LimitsRateLimiter(MemoryStorage(), moving_window=moving_window, clock=clock)
    limit = Limit("x", Rate(4, per=timedelta(seconds=10)), strategy=strategy)
    for gap, cost in hits:
        clock.advance(timedelta(seconds=gap / 3))
        decision = limiter.hit("alice", limit, cost=cost)
        if not decision:
            assert timedelta(0) < decision.retry_after <= 2 * limit.rate.per
            clock.advance(decision.retry_after)
            assert limiter.peek("alice", limit, cost=cost)
    clock.advance(limiter.peek("alice", limit).reset_after)
    assert limiter.peek("alice", limit, cost=4)


def test_a_moving_window_frees_each_hit_by_itself(clock: ManualClock) -> None:
    """The first is free again a period after it was allowed, whatever came later."""
    limiter = LimitsRateLimiter(MemoryStorage(), moving_window=True, clock=clock)
    limit = Limit("x", Rate(2, per=timedelta(seconds=10)), strategy=Strategy.SLIDING_WINDOW)
    for _ in range(2):
        assert limiter.hit("alice", limit)
        clock.advance(timedelta(seconds=4))
    assert limiter.hit("alice", limit).retry_after.seconds == 2
    assert limiter.hit("alice", limit, cost=2).retry_after.seconds == 10
    clock.advance(timedelta(seconds=2.1))
    assert limiter.hit("alice", limit)
    assert not limiter.hit("alice", limit)
