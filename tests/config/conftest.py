"""A real PostgreSQL for the tests of what drivers accept."""

from collections.abc import Iterator

import pytest

from socialflow_core.testing.servers.postgres import PostgresServer, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """One server for all of them."""
    with postgres() as running:
        yield running
