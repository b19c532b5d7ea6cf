"""The chain of a session's refresh tokens: which one is good, and what a stale one means.

Refresh tokens rotate (RFC 9700, 4.14.2): each is good once, and is answered by its
successor. There is only ever one successor. Of several that present the current token at
the same time, one consumes it; to the others, within a grace, that same successor is told.
So a client whose answer was lost tries again, and is not logged out.

A token that was consumed before that, or after the grace, is in wrong hands, or was in
them: the session is ended and revoked with all of its tokens, for nobody can tell which of
the two is the thief.
"""

from __future__ import annotations

from typing import NamedTuple

from ._store import Issued, Outcome, Turn

__all__ = ["Chain", "turn"]


class Chain(NamedTuple):
    """The state of one session's refresh tokens.

    Attributes:
        current: The one that is good.
        ends_us: When the session ends in any case; no token of it lasts longer.
        former: The id of the one that it followed; empty if it is the first.
        turned_us: When that was consumed, by the store's clock.
    """

    current: Issued
    ends_us: int
    former: str = ""
    turned_us: int = 0


def turn(
    chain: Chain | None, presented: str, successor: Issued, *, now_us: int, grace_us: int
) -> tuple[Chain | None, Turn]:
    """Decide about a refresh token: the session's state after it, and the answer.

    - It is the current one: *successor* is from now on (rotated). If the session's absolute
      end has come, there is none, and the session is gone (unknown).
    - It is the one before, and less than the grace ago it was still current: the current
      one is told again, with the same id and times (replayed).
    - Anything else was consumed before (reused).

    The absolute end is judged by when *successor* is issued, the grace by the store's clock.
    A grace of zero makes the second of two that race a thief.
    """
    if chain is None:
        return None, Turn(Outcome.UNKNOWN, None)
    if presented == chain.current.token_id:
        end = min(successor.expires_us, chain.ends_us)
        if end <= successor.issued_us:
            return None, Turn(Outcome.UNKNOWN, None)
        following = successor._replace(expires_us=end)
        turned = Chain(following, chain.ends_us, presented, now_us)
        return turned, Turn(Outcome.ROTATED, following)
    if presented == chain.former and now_us < chain.turned_us + grace_us:
        return chain, Turn(Outcome.REPLAYED, chain.current)
    return None, Turn(Outcome.REUSED, None)
