"""Redis, and what is counted and kept in it."""

from datetime import timedelta
from typing import Annotated, Literal, TypeAlias
from urllib.parse import quote

from socialflow_core._kit.grammar import Network, RateParts
from socialflow_core._kit.secrets import Secret

from ._fields import (
    BOOL,
    COUNT_OR_ZERO,
    DURATION,
    NETWORKS,
    PORT,
    RATE,
    REDIS_URL,
    SECRET,
    TEXT,
    By,
    choice,
    variable,
)
from ._group import Group

__all__ = [
    "RateLimitFailure",
    "RateLimitReset",
    "RateLimitStore",
    "Redis",
    "RevocationFailure",
]

RateLimitStore: TypeAlias = Literal["redis", "memory"]
RateLimitReset: TypeAlias = Literal["unix", "delta"]
RateLimitFailure: TypeAlias = Literal["local", "open", "closed"]
RevocationFailure: TypeAlias = Literal["open", "closed", "ask"]


class Redis(Group):
    """Redis, rate limits and revocations."""

    redis_url: Annotated[Secret | None, REDIS_URL] = variable("The server; wins over its parts.")
    redis_host: Annotated[str, TEXT] = variable("Its host.", "127.0.0.1")
    redis_port: Annotated[int, PORT] = variable("Its port.", "6379")
    redis_db: Annotated[int, COUNT_OR_ZERO] = variable("The number of its database.", "0")
    redis_password: Annotated[Secret | None, SECRET] = variable("Its password.")
    redis_tls: Annotated[bool, BOOL] = variable("Whether to speak TLS to it.", "false")
    redis_deadline: Annotated[timedelta, DURATION] = variable(
        "The longest that one operation may hold a request.", "100ms"
    )
    rate_limit_store: Annotated[RateLimitStore, choice(RateLimitStore)] = variable(
        "Where hits are counted.",
        By(
            "redis in production, else memory",
            lambda values: "redis" if values["app_env"] == "production" else "memory",
        ),
    )
    rate_limit_auth: Annotated[RateParts, RATE] = variable("For /api/auth/*.", "10/15m")
    rate_limit_ai: Annotated[RateParts, RATE] = variable(
        "For /api/ai/*, /api/tts/* and /api/translation/*.", "30/1m"
    )
    rate_limit_general: Annotated[RateParts, RATE] = variable("For every other /api/*.", "100/1m")
    rate_limit_reset: Annotated[RateLimitReset, choice(RateLimitReset)] = variable(
        "The form of the header RateLimit-Reset: a time, or seconds from now.", "unix"
    )
    rate_limit_failure: Annotated[RateLimitFailure, choice(RateLimitFailure)] = variable(
        "When the store is out: count in this process, let all through, or refuse all.", "local"
    )
    trusted_proxies: Annotated[tuple[Network, ...], NETWORKS] = variable(
        "Whose X-Forwarded-For and Forwarded are believed; empty: nobody's.", ""
    )
    revocation_failure: Annotated[RevocationFailure, choice(RevocationFailure)] = variable(
        "When the store is out: accept tokens that are not known to be revoked, refuse them,"
        " or insist on asking the store.",
        "open",
    )

    @property
    def url(self) -> Secret:
        """Where it is: REDIS_URL, or else one made of the parts."""
        if self.redis_url is not None:
            return self.redis_url
        password = self.redis_password.reveal() if self.redis_password else ""
        user = f":{quote(password, safe='')}@" if password else ""
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        scheme = "rediss" if self.redis_tls else "redis"
        return Secret(f"{scheme}://{user}{host}:{self.redis_port}/{self.redis_db}")

    @property
    def in_use(self) -> bool:
        """Whether there is a Redis: in production, and where REDIS_URL or REDIS_HOST is set."""
        explicit = self.model_fields_set & {"redis_url", "redis_host"}
        return self.app_env == "production" or bool(explicit)
