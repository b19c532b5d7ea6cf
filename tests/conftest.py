"""What holds for the whole suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.testing.servers.valkey import Valkey

# The public contract suites tell why they fail, as the tests here do.
pytest.register_assert_rewrite("socialflow_core.testing")

# A property that is slow on a busy machine is still true.
settings.register_profile("house", settings(), deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    """A server for the whole run."""
    from socialflow_core.testing.servers.valkey import Valkey  # noqa: PLC0415 -- after the above

    with Valkey(unix_socket=True) as server:
        yield server


@pytest.fixture
def valkey(shared_valkey: Valkey) -> Valkey:
    """The same, empty; freeze it if you thaw it."""
    shared_valkey.command("FLUSHALL")
    return shared_valkey
