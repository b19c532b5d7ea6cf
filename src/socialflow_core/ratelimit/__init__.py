"""Limit how often a caller may do something, in this process or across all of them.

>>> from socialflow_core.ratelimit import Limit, Rate
>>> from socialflow_core.ratelimit.memory import MemoryRateLimiter
>>> login = Limit("login", Rate.parse("1/minute"))
>>> limiter = MemoryRateLimiter()
>>> limiter.hit("alice", login).allowed, limiter.hit("alice", login).allowed
(True, False)
"""

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.grammar import GrammarError

from ._http import Refusal, ResetForm, headers, refusal
from ._identity import ClientIdentity
from ._interface import (
    AsyncRateLimiter,
    Decision,
    FailurePolicy,
    Limit,
    Rate,
    RateLimiter,
    Strategy,
)
from ._keys import key_of

__all__ = [
    "AsyncRateLimiter",
    "ClientIdentity",
    "Decision",
    "FailurePolicy",
    "GrammarError",
    "Limit",
    "Rate",
    "RateLimiter",
    "Refusal",
    "ResetForm",
    "Strategy",
    "UnavailableError",
    "headers",
    "key_of",
    "refusal",
]
