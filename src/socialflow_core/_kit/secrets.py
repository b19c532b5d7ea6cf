"""Values that must not be seen, and the rules by which text is cleaned of them.

The rules live here once: logs, tracing, errors and HTTP clients all use these.
"""

from __future__ import annotations

import hmac
import re
from itertools import pairwise
from typing import NoReturn, Self

__all__ = ["MASK", "Secret", "is_secret_name", "redact_text", "redact_url"]

MASK = "**********"


class Secret:
    """A text that no repr, str, format, log, pickle, JSON or exception reveals.

    Only `reveal` does. Compares in constant time. The mask has one length for all.
    """

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a Secret holds a str, not {type(value).__name__}")
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """The text itself: call it at the last moment, where the vendor needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str, /) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (s.reveal().encode("utf-8", "surrogatepass") for s in (self, other))
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: pass reveal() where that is meant")


# A name is secret if one of its words is; "key" alone is not (a cache key is no secret).
_SECRET_WORDS = frozenset(
    {
        *("authorization", "cookie", "credential", "credentials", "dsn", "passphrase", "passwd"),
        *("password", "pwd", "secret", "secrets", "signature", "token", "tokens"),
    }
)
_SECRET_KEYS = frozenset(
    {
        *("access", "account", "admin", "api", "auth", "client", "encryption", "integration"),
        *("master", "private", "search", "secret", "service", "signing"),
    }
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def is_secret_name(name: str) -> bool:
    """Whether a field, header or variable of this *name* holds a secret.

    >>> is_secret_name("X-Api-Key"), is_secret_name("accessToken"), is_secret_name("key")
    (True, True, False)
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not _SECRET_WORDS.isdisjoint(words):
        return True
    if "".join(words).endswith("apikey"):
        return True
    return any(
        first in _SECRET_KEYS and second in {"key", "keys"} for first, second in pairwise(words)
    )


# scheme://user:password@  -- the password may hold anything but white space; the last @
# before the next slash ends it.
_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
_QUERY_PAIR = re.compile(r"(?P<before>[?&;])(?P<name>[^\s=&;?#]+)=(?P<value>[^\s&;#\"'<>]*)")
_HOOK = re.compile(r"(hooks\.slack(?:-gov)?\.com/)[^\s\"'<>]+")


def redact_url(url: str) -> str:
    """Mask user information, secret query values and webhook paths of a URL.

    >>> redact_url("redis://:hunter2@cache:6379/0?api_key=abc&db=1")
    'redis://**********@cache:6379/0?api_key=**********&db=1'
    """
    url = _USERINFO.sub(f"{MASK}@", url)
    url = _HOOK.sub(rf"\1{MASK}", url)
    return _QUERY_PAIR.sub(_mask_pair, url)


def _mask_pair(pair: re.Match[str]) -> str:
    # "key" is no secret in general, but it is how Google takes its API keys in URLs.
    secret = is_secret_name(pair["name"]) or pair["name"].lower() in {"key", "sig"}
    return f"{pair['before']}{pair['name']}={MASK}" if secret else pair[0]


_TOKENS = re.compile(
    r"""
    \b(?:Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]{6,}       # Authorization values
    | (?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*  # JSON Web Tokens
    | \b(?:sk|pk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{8,}   # Stripe
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                         # AWS access key ids
    | \bxox[abprs]-[A-Za-z0-9-]{8,}                         # Slack
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
# A name begins where a word does: sought at each of its letters, a word would cost its square.
_NAMED = re.compile(r"""(?<![\w-])(?P<name>[\w-]+)["']?\s*[=:]\s*(?P<quote>["']?)""")
_ASSIGNED = {
    "": re.compile(r"""(?!//)(?:(?i:bearer|basic|token|digest|apikey)\s+)?[^\s"',;&]+"""),
    '"': re.compile(r"""(?:[^"\\\n]|\\.)+"""),
    "'": re.compile(r"""(?:[^'\\\n]|\\.)+"""),
}


def redact_text(text: str) -> str:
    """Mask what looks like a secret in free text: URLs, known token forms, `password=...`.

    A last net, by pattern: what is known to be secret belongs in a `Secret`.
    """
    text = redact_url(text)
    text = _TOKENS.sub(MASK, text)
    return _mask_assigned(text)


def _mask_assigned(text: str) -> str:
    """Mask the values of secret names; a value may be an assignment, too: `error: password=x`."""
    parts, end = [], 0
    for found in _NAMED.finditer(text):
        # Other values are not even looked at: each may reach to the end of the text.
        if found.start() < end or not is_secret_name(found["name"]):
            continue
        value = _ASSIGNED[found["quote"]].match(text, found.end())
        if value is not None:
            parts += [text[end : value.start()], MASK]
            end = value.end()
    return "".join([*parts, text[end:]])
