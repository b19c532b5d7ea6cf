"""Real servers for tests, started from wheels: no image, no root, no network.

```
CoreError
└── ServerNotStartedError    its wheel is not installed, or it did not come up
```

Each module is one server and a context manager that is called as it is.
"""

from socialflow_core._kit.errors import CoreError

__all__ = ["ServerNotStartedError"]


class ServerNotStartedError(CoreError):
    """A server for tests did not start. It fails the test: none is skipped for it.

    Attributes:
        server: Which one.
        reason: Why, in its own words, or what to install.
    """

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server} did not start: {reason}")
        self.server = server
        self.reason = reason
