"""Tokens, sessions, cache and locks as `Core` builds them."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.auth import TokenError, TokenKind
from socialflow_core.auth.memory import MemoryRevocations
from socialflow_core.cache import TTLS
from socialflow_core.config.settings import load
from socialflow_core.testing.poll import wait_until
from socialflow_core.wiring import Core

if TYPE_CHECKING:
    from pathlib import Path

    from socialflow_core.config.settings import Settings
    from socialflow_core.testing.servers.valkey import Valkey

SECRETS = {name: secrets.token_hex(32) for name in ("JWT_SECRET", "JWT_REFRESH_SECRET")}
TTL = TTLS["feed"]


def settings(**environ: str) -> Settings:
    """The groups of tokens and Redis, from these variables."""
    return load(["auth", "redis"], environ=SECRETS | environ, env_file=None)


def test_tokens_say_what_the_settings_say() -> None:
    """Issuer, audience and lifetimes come from their variables."""
    told = {"JWT_ISSUER": "https://a.example", "JWT_AUDIENCE": "api", "JWT_EXPIRES_IN": "5m"}
    with Core(settings(**told)) as core:
        claims = core.token_issuer.claims(TokenKind.ACCESS, "ann")
        assert (claims.issuer, claims.audience) == ("https://a.example", ("api",))
        assert claims.expires_us - claims.issued_us == 300_000_000
        assert core.token_verifier.verify(core.token_issuer.sign(claims)).subject == "ann"


def test_sync_and_async_share_who_is_logged_in() -> None:
    """In memory: what one logs out is logged out for the other."""

    async def verified(core: Core, token: str) -> str:
        return (await core.async_token_verifier.verify(token)).subject

    with Core(settings()) as core:
        pair = core.sessions.login("ann")
        token = pair.access.reveal()
        assert asyncio.run(verified(core, token)) == "ann"
        assert core.token_verifier.verify(token).session == pair.session
        asyncio.run(core.async_sessions.logout(token))
        for verify in (core.token_verifier.verify, lambda told: asyncio.run(verified(core, told))):
            with pytest.raises(TokenError, match="revoked"):
                verify(token)


def test_with_redis_they_share_it_too_at_once(valkey: Valkey) -> None:
    """What one refuses the other refuses by the next check, also if Redis goes away meanwhile."""

    async def scene(core: Core, token: str) -> str:
        await core.async_token_verifier.verify(token)
        valkey.freeze()
        try:
            with pytest.raises(UnavailableError):
                core.sessions.logout(token)
            with pytest.raises(TokenError) as caught:
                await core.async_token_verifier.verify(token)
        finally:
            valkey.thaw()
        await core.aclose()
        return caught.value.reason

    core = Core(settings(REDIS_URL=valkey.url))
    token = core.sessions.login("ann").access.reveal()
    assert asyncio.run(scene(core, token)) == "revoked"


def test_what_fails_to_close_leaves_nothing_else_open() -> None:
    """The blocks of the loop are closed first; whatever they raise, the others follow."""

    async def fail() -> None:
        raise OSError("gone")

    core = Core(settings())
    closed: list[str] = []
    core._resources.callback(closed.append, "sync")
    core._loop_resources.push_async_callback(fail)
    with pytest.raises(OSError, match="gone"):
        asyncio.run(core.aclose())
    assert closed == ["sync"]


def test_with_redis_processes_share_who_is_logged_in(valkey: Valkey) -> None:
    """Two services; a logout at one is known at the other within moments."""
    told = settings(REDIS_URL=valkey.url)
    with Core(told) as one, Core(told) as other:
        pair = one.sessions.login("ann", name="phone")
        token = pair.access.reveal()
        assert other.token_verifier.verify(token).subject == "ann"
        assert [each.name for each in other.sessions.sessions("ann")] == ["phone"]
        other.sessions.logout(token)

        def is_refused() -> bool:
            try:
                one.token_verifier.verify(token)
            except TokenError as error:
                return error.reason == "revoked"
            return False

        wait_until(is_refused, "it is refused there, too")
        with pytest.raises(TokenError):
            one.sessions.refresh(pair.refresh.reveal())
        assert [each.engine for each in one.report()] == ["memory", "redis", "redis"]


def test_async_blocks_on_redis_are_closed_with_their_loop(valkey: Valkey) -> None:
    """Tokens, cache and locks, awaited; nothing is left open."""

    async def scene() -> tuple[str, int, bool]:
        core = Core(settings(REDIS_URL=valkey.url))
        try:
            pair = await core.async_sessions.login("ann")
            claims = await core.async_token_verifier.verify(pair.access.reveal())
            kept = await core.async_cache.get_or_compute("k", _answer, ttl=TTL)
            async with core.async_locks.lock("turn") as held:
                lost = held.is_lost
            return claims.subject, kept, lost
        finally:
            await core.aclose()

    async def _answer() -> int:
        return 42

    assert asyncio.run(scene()) == ("ann", 42, False)


def test_the_cache_and_the_locks_are_shared_by_both_worlds(valkey: Valkey) -> None:
    """In memory and in Redis: what sync code computed async code has; one lock excludes both."""

    async def scene(core: Core) -> int:
        async def other() -> int:
            return 7

        kept = await core.async_cache.get_or_compute("k", other, ttl=TTL)
        assert await core.async_locks.try_lock("turn") is None
        await core.aclose()
        return kept

    for told in (settings(), settings(REDIS_URL=valkey.url)):
        with Core(told) as core:
            assert core.cache.get_or_compute("k", lambda: 42, ttl=TTL) == 42
            with core.locks.lock("turn"):
                assert asyncio.run(scene(core)) == 42


def test_what_is_away_is_told(valkey: Valkey) -> None:
    """Each block says what follows from it."""
    with Core(settings(REDIS_URL=valkey.url, RATE_LIMIT_STORE="redis")) as core:
        core.sessions.login("ann")
        core.cache.get_or_compute("k", lambda: 42, ttl=TTL)
        valkey.freeze()
        try:
            wait_until(lambda: core.report()[1].state == "degraded", "revocations are old")
            core.cache.get_or_compute("other", lambda: 42, ttl=TTL)
            reasons = {each.name: each.reason for each in core.report()}
            assert "this process only" in reasons["revocations"]
            assert "upstreams are hit" in reasons["cache"]
        finally:
            valkey.thaw()
        wait_until(lambda: core.report()[1].state == "enabled", "they are up to date")


def test_a_ring_of_keys_comes_from_its_file(tmp_path: Path) -> None:
    """JWT_KEYS_FILE with an asymmetric algorithm; refresh tokens keep their secret."""
    from cryptography.hazmat.primitives.asymmetric.ec import (  # noqa: PLC0415 -- here alone
        SECP256R1,
        generate_private_key,
    )
    from jwt.algorithms import ECAlgorithm  # noqa: PLC0415 -- as above

    key = generate_private_key(SECP256R1())
    jwk = ECAlgorithm.to_jwk(key, as_dict=True) | {"kid": "2026-11", "alg": "ES256"}
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk]}))
    with Core(settings(JWT_ALGORITHM="ES256", JWT_KEYS_FILE=str(path))) as core:
        pair = core.sessions.login("ann")
        assert core.token_verifier.verify(pair.access.reveal()).subject == "ann"
        assert core.sessions.refresh(pair.refresh.reveal()).session == pair.session
        assert [each["kid"] for each in core.token_keys.access.jwks()["keys"]] == ["2026-11"]


def test_weak_keys_are_warned_of_until_production() -> None:
    """One secret for both kinds, outside of production, is a warning as it is in the settings."""
    one = secrets.token_hex(32)
    with Core(settings(JWT_SECRET=one, JWT_REFRESH_SECRET=one)) as core:
        with pytest.warns(UserWarning, match="production refuses it"):
            assert core.token_issuer is core.token_issuer
        with pytest.warns(UserWarning, match="production refuses it"):
            assert core.token_verifier is core.token_verifier


def test_an_argument_replaces_any_block() -> None:
    """What is built on it uses it, too."""
    own = MemoryRevocations()
    with Core(settings(), revocations=own) as core:
        core.sessions.logout(core.sessions.login("ann").access.reveal())
    assert len(own) == 1
