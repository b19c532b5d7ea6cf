"""Tokens, sessions and revocations, from JWT_* and REVOCATION_FAILURE.

Access tokens are signed by JWT_SECRET, or by the keys of JWT_KEYS_FILE; refresh tokens, which
only this service reads, by JWT_REFRESH_SECRET in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .base import Base
from .built import built

if TYPE_CHECKING:
    from socialflow_core.auth import (
        AsyncRevocations,
        AsyncSessionStore,
        AsyncVerifier,
        Revocations,
        SessionStore,
        Signer,
        TokenRules,
        Verifier,
    )
    from socialflow_core.auth.jwt import KeyRing
    from socialflow_core.auth.memory import MemoryRevocations, MemorySessions
    from socialflow_core.auth.redis import ReplicaRevocations
    from socialflow_core.auth.sessions import AsyncSessions, Sessions

    from .capability import Capability

__all__ = ["Rings", "Tokens"]

_LOST = (
    "Redis does not answer: revocations reach this process only; elsewhere revoked tokens stay"
    " valid until they expire"
)


class Rings(NamedTuple):
    """The keys of each kind of token."""

    access: KeyRing
    refresh: KeyRing


class Tokens(Base):
    """Who somebody is, until that is revoked."""

    @built
    def token_rules(self) -> TokenRules:
        """What tokens say, and how long they last: JWT_ISSUER, JWT_AUDIENCE, JWT_*EXPIRES_IN."""
        from socialflow_core.auth import KindRules, TokenRules  # noqa: PLC0415 -- on use

        auth = self.settings.auth
        usual = TokenRules()
        return TokenRules(
            issuer=auth.jwt_issuer or "",
            audience=(auth.jwt_audience,) if auth.jwt_audience else (),
            access=KindRules(lifetime=auth.jwt_expires_in, types=usual.access.types),
            refresh=KindRules(lifetime=auth.jwt_refresh_expires_in, types=usual.refresh.types),
        )

    @built
    def token_keys(self) -> Rings:
        """What signs tokens: JWT_SECRET or JWT_KEYS_FILE, and JWT_REFRESH_SECRET.

        Raises:
            ValueError: If JWT_KEYS_FILE holds no key of JWT_ALGORITHM, or a weak one.
            OSError: If it cannot be read.
            MissingExtraError: If the extra is not installed.
        """
        from socialflow_core.auth.jwt import KeyRing, TokenKey  # noqa: PLC0415 -- loads PyJWT

        auth = self.settings.auth
        # Elsewhere a weak key is warned of, as by the settings themselves.
        strict = auth.app_env == "production"
        if auth.jwt_keys_file is None:
            access = KeyRing(TokenKey(auth.jwt_algorithm, auth.jwt_secret, strict=strict))
        else:
            access = KeyRing.from_jwks(
                auth.jwt_keys_file.read_bytes(), algorithms=(auth.jwt_algorithm,), strict=strict
            )
        hashed = auth.jwt_algorithm[-3:] if auth.jwt_algorithm[-3:].isdigit() else "256"
        refresh = TokenKey(f"HS{hashed}", auth.jwt_refresh_secret, strict=strict)
        return Rings(access, KeyRing(refresh))

    @built
    def token_issuer(self) -> Signer:
        """Makes tokens; see `token_keys` for what it raises."""
        from socialflow_core.auth.jwt import TokenIssuer  # noqa: PLC0415 -- loads PyJWT

        return TokenIssuer(self.token_rules, **self.token_keys._asdict())

    @built
    def token_verifier(self) -> Verifier:
        """Tells whether to believe a token; see `token_keys` for what it raises."""
        from socialflow_core.auth.jwt import TokenVerifier  # noqa: PLC0415 -- loads PyJWT

        return TokenVerifier(
            self.token_rules,
            **self.token_keys._asdict(),
            revocations=self.revocations,
            failure=self.settings.redis.revocation_failure,
        )

    @built
    def async_token_verifier(self) -> AsyncVerifier:
        """`token_verifier`, awaited."""
        from socialflow_core.auth.jwt import AsyncTokenVerifier  # noqa: PLC0415 -- loads PyJWT

        return AsyncTokenVerifier(
            self.token_rules,
            **self.token_keys._asdict(),
            revocations=self.async_revocations,
            failure=self.settings.redis.revocation_failure,
        )

    @built
    def _memory_revocations(self) -> MemoryRevocations:
        from socialflow_core.auth.memory import MemoryRevocations  # noqa: PLC0415 -- on use

        return MemoryRevocations()

    @built
    def _replica(self) -> ReplicaRevocations:
        from socialflow_core.auth.redis import ReplicaRevocations  # noqa: PLC0415 -- loads redis

        redis = self.settings.redis
        replica = ReplicaRevocations.from_url(redis.url.reveal(), deadline=redis.redis_deadline)
        self._resources.callback(replica.close)
        replica.begin()
        return replica

    @built
    def revocations(self) -> Revocations:
        """What is refused before its end: in Redis and held here, or in memory alone."""
        return self._replica if self.settings.redis.in_use else self._memory_revocations

    @built
    def async_revocations(self) -> AsyncRevocations:
        """`revocations`, awaited: what either revokes, both refuse at once."""
        redis = self.settings.redis
        if not redis.in_use:
            from socialflow_core.auth.memory import (  # noqa: PLC0415 -- on use
                AsyncMemoryRevocations,
            )

            return AsyncMemoryRevocations(self._memory_revocations)
        from socialflow_core.auth.redis import (  # noqa: PLC0415 -- loads redis
            AsyncReplicaRevocations,
        )

        replica = AsyncReplicaRevocations.from_url(
            redis.url.reveal(), deadline=redis.redis_deadline, beside=self._replica
        )
        self._loop_resources.push_async_callback(replica.aclose)
        return replica

    @built
    def _memory_sessions(self) -> MemorySessions:
        from socialflow_core.auth.memory import MemorySessions  # noqa: PLC0415 -- on use

        return MemorySessions()

    @built
    def session_store(self) -> SessionStore:
        """Keeps sessions, where revocations are kept."""
        redis = self.settings.redis
        if not redis.in_use:
            return self._memory_sessions
        from socialflow_core.auth.redis import RedisSessions  # noqa: PLC0415 -- loads redis

        store = RedisSessions.from_url(redis.url.reveal(), deadline=redis.redis_deadline)
        self._resources.callback(store.close)
        return store

    @built
    def async_session_store(self) -> AsyncSessionStore:
        """`session_store`, awaited."""
        redis = self.settings.redis
        if not redis.in_use:
            from socialflow_core.auth.memory import AsyncMemorySessions  # noqa: PLC0415 -- on use

            return AsyncMemorySessions(self._memory_sessions)
        from socialflow_core.auth.redis import AsyncRedisSessions  # noqa: PLC0415 -- loads redis

        store = AsyncRedisSessions.from_url(redis.url.reveal(), deadline=redis.redis_deadline)
        self._loop_resources.push_async_callback(store.aclose)
        return store

    @built
    def sessions(self) -> Sessions:
        """Login, refresh and logout; see `token_keys` for what it raises."""
        from socialflow_core.auth.sessions import Sessions  # noqa: PLC0415 -- on use

        parts = (self.token_issuer, self.token_verifier, self.session_store, self.revocations)
        return Sessions(*parts)

    @built
    def async_sessions(self) -> AsyncSessions:
        """`sessions`, awaited."""
        from socialflow_core.auth.sessions import AsyncSessions  # noqa: PLC0415 -- on use

        return AsyncSessions(
            self.token_issuer,
            self.async_token_verifier,
            self.async_session_store,
            self.async_revocations,
        )

    def _report_revocations(self) -> Capability:
        blocks = ("revocations", "async_revocations")
        return self._capability("revocations", self._engine(), blocks, _LOST)
