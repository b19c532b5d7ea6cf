"""A real Valkey cluster, formed without other tools."""

from __future__ import annotations

from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from socialflow_core.testing.poll import wait_until

from .resp import parse_info
from .valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

__all__ = ["ValkeyCluster"]

_SLOTS = 16384
# A new node refuses to serve for its first two seconds, so this is never quick.
_JOIN_LIMIT = timedelta(seconds=20)


class ValkeyCluster:
    """A cluster of primaries that share the slots; start and stop it like one server.

    Args:
        nodes: How many.
        config: Lines of `valkey.conf` for each.
    """

    def __init__(self, nodes: int = 3, *, config: Mapping[str, str | int] | None = None) -> None:
        clustered: dict[str, str | int] = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": 2000,
            "cluster-announce-ip": "127.0.0.1",
        }
        self.nodes = tuple(Valkey(config=clustered | dict(config or {})) for _ in range(nodes))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start every node, join them, and `wait`.

        Raises:
            LaunchError: If a node does not start.
            TimeoutError: As `wait` does.
        """
        try:
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                list(pool.map(Valkey.start, self.nodes))
            self._join()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every node and remove its files."""
        for node in self.nodes:
            node.stop()

    def wait(self) -> None:
        """Return when each node says that all slots are served.

        Raises:
            TimeoutError: If they do not agree within 20 seconds.
        """
        wait_until(self._is_joined, "every node says that all slots are served", within=_JOIN_LIMIT)

    @property
    def url(self) -> str:
        """Where clients find the first node, which tells them of the others."""
        return self.nodes[0].url

    def node_of(self, key: str) -> Valkey:
        """The node that serves *key*."""
        slot = self.nodes[0].command("CLUSTER", "KEYSLOT", key)
        return self.nodes[bisect_right(self._bounds, int(str(slot))) - 1]

    def _join(self) -> None:
        for number, node in enumerate(self.nodes):
            first, after = self._bounds[number : number + 2]
            node.command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            # Equal epochs would be settled by lot, which can take seconds.
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for other in self.nodes[:number]:  # each pair, not to wait for gossip
                node.command("CLUSTER", "MEET", other.host, other.port)
        self.wait()

    def _is_joined(self) -> bool:
        return all(
            told["cluster_state"] == "ok"
            and told["cluster_slots_ok"] == str(_SLOTS)
            and told["cluster_known_nodes"] == str(len(self.nodes))
            for told in (parse_info(node.command("CLUSTER", "INFO")) for node in self.nodes)
        )

    @property
    def _bounds(self) -> list[int]:
        """Where each node's slots begin, and where the last one's end."""
        return [_SLOTS * number // len(self.nodes) for number in range(len(self.nodes) + 1)]
