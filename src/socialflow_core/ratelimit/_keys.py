"""Keys made of parts, so that no two lists of parts ever share a counter."""

from __future__ import annotations

import hashlib

__all__ = ["key_of"]

# What a limiter takes at most; see `RateLimiter`.
_MOST_KEY = 1024
# Long enough for addresses, UUIDs and e-mail addresses to stay readable in a store.
_MOST_PART = 128


def key_of(*parts: str) -> str:
    """Build a limiter's key from *parts* such as `"user", "alice"`.

    Different parts give different keys, whatever they hold. A key is printable ASCII
    without spaces, so that every store takes it; a part that is not, or is long, stands
    in it by its SHA-256 digest.

    Raises:
        ValueError: If there are no parts.
        TypeError: If one of them is not a str.

    >>> key_of("user", "alice")
    '4:user,5:alice'
    >>> key_of("user", "5:alice") == key_of("user,5:alice")
    False
    """
    if not parts:
        raise ValueError("a key needs at least one part")
    key = ",".join([_written(part) for part in parts])
    return key if len(key) <= _MOST_KEY else f"parts-{_digest(key)}"


def _written(part: str) -> str:
    if not isinstance(part, str):
        raise TypeError(f"a part of a key is a str, not {type(part).__name__}")
    if len(part) <= _MOST_PART and part.isascii() and part.isprintable() and " " not in part:
        # The length says where the part ends. Joined, for a format would ask an Enum.
        return "".join((str(len(part)), ":", part))
    # No part that is written out begins so: that begins with a digit.
    return f"sha256-{_digest(part)}"


def _digest(text: str) -> str:
    # Lone surrogates have no UTF-8, but a path or header may bring them.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
