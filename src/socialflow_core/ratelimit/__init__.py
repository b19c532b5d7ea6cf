"""Limit how often a caller may do something, in this process or across all of them.

>>> from datetime import timedelta
>>> from socialflow_core.ratelimit import Limit, Rate
>>> from socialflow_core.ratelimit.memory import MemoryRateLimiter
>>> login = Limit("login", Rate(1, per=timedelta(minutes=1)))
>>> limiter = MemoryRateLimiter()
>>> limiter.hit("alice", login).allowed, limiter.hit("alice", login).allowed
(True, False)
"""

from ._interface import AsyncRateLimiter, Decision, Limit, Rate, RateLimiter, Strategy

__all__ = ["AsyncRateLimiter", "Decision", "Limit", "Rate", "RateLimiter", "Strategy"]
