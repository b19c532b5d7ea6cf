"""Where `limits` keeps the counts: what is refused at the door, and what its errors become."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
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
