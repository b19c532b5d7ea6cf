"""Stay calm when what a service stands on fails: a circuit breaker.

>>> from socialflow_core.fallback import BreakerPolicy
>>> from socialflow_core.fallback.breaker import Breaker
>>> breaker = Breaker("translation", BreakerPolicy(consecutive_failures=3))
>>> breaker.call(len, "abc")
3
"""

from ._breaker import TRANSITIONS, Outcome, StateMachine, Ticket
from ._interface import BreakerPolicy, CircuitOpenError, CircuitState

__all__ = [
    "TRANSITIONS",
    "BreakerPolicy",
    "CircuitOpenError",
    "CircuitState",
    "Outcome",
    "StateMachine",
    "Ticket",
]
