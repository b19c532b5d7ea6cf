"""A user to try the service with, in memory."""

from __future__ import annotations

import hmac
import secrets
from threading import Lock

__all__ = ["Accounts"]


class Accounts:
    """One demo user with a generated password; a login ends the one before it.

    >>> accounts = Accounts()
    >>> token = accounts.login(accounts.email, accounts.password)
    >>> accounts.user(token)
    'demo@example.com'
    """

    email = "demo@example.com"

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(12)
        self._token = ""
        self._lock = Lock()

    def login(self, email: str, password: str) -> str | None:
        """A new token, or None if the two do not belong together."""
        if not (_same(email, self.email) & _same(password, self.password)):
            return None
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._token = token
        return token

    def user(self, token: str) -> str | None:
        """Whose *token* it is, or None."""
        with self._lock:
            known = self._token
        return self.email if known and _same(token, known) else None


def _same(given: str, known: str) -> bool:
    # Takes as long for a near miss as for a far one.
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), known.encode())
