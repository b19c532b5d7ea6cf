"""Rules that look at several variables.

A rule is a function whose parameters are the names of fields, of any group. It runs when
all of them are loaded and valid, so that one fault does not hide another, and yields what
it finds. Beside fields it may ask for `given`, the names of the fields that are set
explicitly, and for `loaded`, those that are looked at at all.

In a text `{redis_url}` stands for the name of that field's variable, as it is in use.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeAlias

__all__ = ["Finding", "Findings", "Rule", "findings", "pair", "refuse", "warn"]


class Finding(NamedTuple):
    """What a rule has to say of one field."""

    field: str
    text: str
    fatal: bool


Findings: TypeAlias = Iterator[Finding]
Rule: TypeAlias = Callable[..., Findings]


def refuse(field: str, reason: str) -> Finding:
    """The service cannot start: *reason* completes "VARIABLE: reason"."""
    return Finding(field, reason, fatal=True)


def warn(field: str, message: str) -> Finding:
    """The operator should know: *message* is a sentence."""
    return Finding(field, message, fatal=False)


def findings(rule: Rule, values: Mapping[str, object]) -> Findings:
    """What *rule* finds in *values*; nothing if one that it needs is not there."""
    names = inspect.signature(rule).parameters
    if all(name in values for name in names):
        yield from rule(**{name: values[name] for name in names})


def pair(one: str, other: str) -> Rule:
    """The rule that both fields are set, or none."""

    def both_or_none(given: AbstractSet[str]) -> Findings:
        for absent, present in ((one, other), (other, one)):
            if present in given and absent not in given:
                yield refuse(absent, f"required with {{{present}}}, missing")

    return both_or_none
