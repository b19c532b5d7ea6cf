"""Who may log in: a demo user, and whoever registers; in memory, for as long as it runs."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from threading import Lock

__all__ = ["Accounts"]

_MOST = 10_000
_LEAST_PASSWORD = 10
_MOST_PASSWORD = 1024


class Accounts:
    """Passwords are kept as scrypt makes of them (RFC 7914), each with a salt of its own.

    >>> accounts = Accounts()
    >>> accounts.is_right(accounts.email, accounts.password)
    True
    >>> accounts.is_right("somebody@example.com", accounts.password)
    False
    """

    email = "demo@example.com"

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(12)
        self._nobody = _Hashed(secrets.token_urlsafe(12))
        self._known = {self.email: _Hashed(self.password)}
        self._lock = Lock()

    def register(self, email: str, password: str) -> str:
        """Add somebody; what is wrong with that, or nothing."""
        if "@" not in email or not email.isprintable() or len(email) > 254:  # noqa: PLR2004 -- RFC 5321, 4.5.3.1.3
            return "The email must be an address."
        if not _LEAST_PASSWORD <= len(password) <= _MOST_PASSWORD:
            return f"The password must have {_LEAST_PASSWORD} to {_MOST_PASSWORD} characters."
        hashed = _Hashed(password)
        with self._lock:
            if email in self._known:
                return "There is an account of that email already."
            if len(self._known) >= _MOST:
                return "There is no room for more accounts."
            self._known[email] = hashed
        return ""

    def is_right(self, email: str, password: str) -> bool:
        """Whether the two belong together; takes as long for an email that nobody has."""
        with self._lock:
            hashed = self._known.get(email)
        return (hashed or self._nobody).is_of(password) and hashed is not None


class _Hashed:
    """A password that cannot be read."""

    def __init__(self, password: str) -> None:
        self._salt = secrets.token_bytes(16)
        self._hash = self._hashed(password)

    def is_of(self, password: str) -> bool:
        return hmac.compare_digest(self._hashed(password), self._hash)

    def _hashed(self, password: str) -> bytes:
        data = password[:_MOST_PASSWORD].encode("utf-8", "surrogatepass")
        return hashlib.scrypt(data, salt=self._salt, n=2**14, r=8, p=1)
