"""From settings to blocks: built on first use, once, and replaceable by argument."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_network

import pytest

from socialflow_core.config import ConfigError
from socialflow_core.config.settings import Settings, load
from socialflow_core.ratelimit import Decision, Limit, Rate
from socialflow_core.ratelimit.memory import MemoryRateLimiter
from socialflow_core.testing.servers.valkey import Valkey
from socialflow_core.wiring import Capability, Core
from socialflow_core.wiring.built import built

LOGIN = Limit("login", Rate(2, per=timedelta(minutes=1)))


def settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The redis group alone, from these variables."""
    return load(["redis"], environ=environ or {}, env_file=None)


def test_the_tiers_come_from_the_settings() -> None:
    """Each tier is the rate of its variable, under its own name."""
    tiers = Core(settings({"RATE_LIMIT_AI": "7/30s"})).tiers
    assert tiers.auth == Limit("auth", Rate.parse("10/15m"))
    assert tiers.ai == Limit("ai", Rate.parse("7/30s"))
    assert tiers.general == Limit("general", Rate.parse("100/minute"))


def test_sync_and_async_callers_are_counted_together() -> None:
    """A service that serves both worlds has one counter, whichever is used first."""
    core = Core(settings())
    assert asyncio.run(core.async_rate_limiter.hit("k", LOGIN)).remaining == 1
    assert core.rate_limiter.hit("k", LOGIN).remaining == 0
    assert not asyncio.run(core.async_rate_limiter.hit("k", LOGIN))


def test_a_block_is_built_once_whichever_threads_ask() -> None:
    """Two limiters would count apart, so there is never a second one."""

    class Slow:
        builds = 0

        @built
        def block(self) -> object:
            """Something to have once."""
            self.builds += 1
            return object()

    for _ in range(20):
        owner = Slow()
        with ThreadPoolExecutor(8) as pool:
            blocks = list(pool.map(lambda _, owner=owner: owner.block, range(8)))
        assert len(set(blocks)) == owner.builds == 1


def test_an_argument_replaces_a_block() -> None:
    """Tests and applications that have their own pass it; nothing is patched."""
    own = MemoryRateLimiter()
    assert Core(settings(), rate_limiter=own).rate_limiter is own


def test_the_proxies_to_trust_come_from_the_settings() -> None:
    """TRUSTED_PROXIES decides who is believed about the caller."""
    identity = Core(settings({"TRUSTED_PROXIES": "10.0.0.0/8"})).client_identity
    assert identity.trusted_proxies == (ip_network("10.0.0.0/8"),)


def test_the_report_says_which_engine_counts() -> None:
    """Memory where nothing else is configured, and that is no loss there."""
    assert Core(settings()).report() == tuple(
        Capability(name=name, state="enabled", engine="memory")
        for name in ("rate-limits", "revocations", "cache")
    )


def redis_at(server: Valkey) -> Settings:
    """The redis group of a service that shares its limits."""
    return settings({"REDIS_URL": server.url, "RATE_LIMIT_STORE": "redis"})


def test_a_shared_store_is_used_where_it_is_configured() -> None:
    """Two processes with these settings count together, sync and async; and it is closed."""

    async def hit(core: Core) -> Decision:
        try:
            return await core.async_rate_limiter.hit("k", LOGIN)
        finally:
            await core.aclose()

    with Valkey() as server:
        with Core(redis_at(server)) as core:
            assert core.rate_limiter.hit("k", LOGIN).remaining == 1
            assert core.report()[0].engine == "redis"
        decision = asyncio.run(hit(Core(redis_at(server))))
    assert (decision.source, decision.remaining) == ("redis", 0)


def test_the_report_says_what_is_lost() -> None:
    """A store that does not answer is told, with what follows from it."""
    with Valkey() as server, Core(redis_at(server)) as core:
        core.rate_limiter.hit("k", LOGIN)
        server.kill()
        assert core.rate_limiter.hit("k", LOGIN).degraded
        capability, *_ = core.report()
    assert (capability.state, capability.engine) == ("degraded", "redis")
    assert "per process" in capability.reason


def test_the_failure_policy_comes_from_the_settings() -> None:
    """RATE_LIMIT_FAILURE holds for every tier."""
    tiers = Core(settings({"RATE_LIMIT_FAILURE": "closed"})).tiers
    assert {limit.failure for limit in tiers} == {"closed"}


def test_from_env_refuses_with_every_fault() -> None:
    """A service that is configured wrong does not start, and hears everything at once."""
    wrong = {"RATE_LIMIT_AI": "often", "REDIS_PORT": "none"}
    with pytest.raises(ConfigError) as caught:
        Core.from_env(["redis"], environ=wrong)
    assert {fault.variable for fault in caught.value.faults} == set(wrong)


def test_closing_twice_is_fine() -> None:
    """As a context manager and by hand."""
    with Core.from_env(["redis"], environ={}) as core:
        core.rate_limiter.hit("k", LOGIN)
    core.close()


LOADED = """
import sys
from types import SimpleNamespace
from socialflow_core.wiring import Core
vendors = {"pydantic", "pydantic_settings", "limits", "redis", "asyncio"}
assert not vendors & set(sys.modules), vendors & set(sys.modules)
core = Core(SimpleNamespace(redis=SimpleNamespace(rate_limit_store="memory")))
core.rate_limiter
core.async_rate_limiter
assert not vendors & set(sys.modules), vendors & set(sys.modules)
assert "socialflow_core.config" not in sys.modules
"""


def test_touching_a_block_loads_that_block_alone() -> None:
    """Neither wiring nor its embedded blocks load a vendor's package or another block."""
    assert subprocess.run([sys.executable, "-c", LOADED], check=False).returncode == 0
