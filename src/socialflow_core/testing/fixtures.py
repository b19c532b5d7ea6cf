"""Servers as pytest fixtures; extras `[testing]` and `[servers]`.

```python
# conftest.py
pytest_plugins = ["socialflow_core.testing.fixtures"]
```

`valkey` is a real server, empty at the start of each test; `valkey_proxy` a way to it that
can be delayed, cut and swallowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socialflow_core._kit.errors import requires_extra

from .proxy import FaultProxy
from .servers.valkey import Valkey

with requires_extra("testing"):
    import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["valkey", "valkey_proxy", "valkey_server"]


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """One server for the whole run; with xdist, one for each worker."""
    with Valkey() as server:
        yield server


@pytest.fixture
def valkey(valkey_server: Valkey) -> Valkey:
    """That server, empty. A test that freezes it has to thaw it."""
    valkey_server.command("FLUSHALL")
    return valkey_server


@pytest.fixture
def valkey_proxy(valkey: Valkey) -> Iterator[FaultProxy]:
    """A way to that server of the test's own; connect to its port, and set its fault."""
    with FaultProxy(valkey.host, valkey.port) as proxy:
        yield proxy
