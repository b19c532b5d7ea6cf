"""Which of several keys signs, and which still verify: rotation without a gap.

A new key is published first and signs later, so that every verifier knows it by then; an
old key signs no more, and verifies until the last token that it signed has ended.

```
 old   |---- signs ----------|---- verifies ----|  retired
 new        |- verifies -----|---- signs ----------------
            published        sign_from          retire (of the old)
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_KEYS", "Terms", "check_terms", "signing", "verifies"]

MAX_KEYS = 64
_LONGEST = 255
KeyT = TypeVar("KeyT")


class Terms(NamedTuple):
    """What a key may be used for, and when.

    Attributes:
        kid: Its name.
        signs: Whether it can sign: its private part is known.
        sign_from_us: It does not sign before.
        retire_us: From then on it is not used at all; None if that is not known yet.
    """

    kid: str
    signs: bool
    sign_from_us: int = 0
    retire_us: int | None = None


def check_terms(terms: Terms) -> None:
    """Refuse terms that make no sense.

    Raises:
        ValueError: Says why.
    """
    if not 0 < len(terms.kid) <= _LONGEST or not terms.kid.isprintable():
        raise ValueError(f"kid must be 1 to {_LONGEST} printable characters")
    if terms.sign_from_us < 0:
        raise ValueError("sign_from_us must not be negative")
    if terms.retire_us is not None and terms.retire_us <= terms.sign_from_us:
        raise ValueError("a key is retired after it has begun to sign")


def verifies(terms: Terms, now_us: int) -> bool:
    """Whether what the key signed is still believed."""
    return terms.retire_us is None or now_us < terms.retire_us


def signing(keys: Iterable[tuple[Terms, KeyT]], now_us: int) -> KeyT | None:
    """The key that signs now: the one that began last; of several, the first named.

    None if none can.
    """
    best: tuple[Terms, KeyT] | None = None
    for terms, key in keys:
        if not terms.signs or terms.sign_from_us > now_us or not verifies(terms, now_us):
            continue
        if best is None or terms.sign_from_us > best[0].sign_from_us:
            best = (terms, key)
    return None if best is None else best[1]
