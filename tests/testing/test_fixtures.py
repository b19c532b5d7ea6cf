"""The fixtures that users take over into their own suites."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CONFTEST = 'pytest_plugins = ["socialflow_core.testing.fixtures"]\n'
_SUITE = """
import pytest
from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.redis import RedisRateLimiter
from socialflow_core.testing.faults import Blackhole

LOGIN = Limit("login", Rate.parse("1/h"))


@pytest.mark.parametrize("turn", range(2))
def test_each_test_begins_with_an_empty_server(valkey, turn):
    limiter = RedisRateLimiter.from_url(valkey.url)
    assert limiter.hit("alice", LOGIN).source == "redis"
    limiter.close()


def test_the_way_can_be_broken(valkey_proxy):
    limiter = RedisRateLimiter.from_url(f"redis://127.0.0.1:{valkey_proxy.port}")
    valkey_proxy.fault = Blackhole()
    assert limiter.hit("alice", LOGIN).degraded
    limiter.close()
"""


def test_a_suite_of_somebody_else_uses_them(tmp_path: Path) -> None:
    """One line in its conftest, and its tests have a server and a way to break."""
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_theirs.py").write_text(_SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr
