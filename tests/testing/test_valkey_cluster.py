"""A real cluster: it forms, shares the slots, and survives what a node suffers."""

from collections.abc import Iterator

import pytest
import redis

from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.process import LaunchError
from socialflow_core.testing.servers.resp import ReplyError
from socialflow_core.testing.servers.valkey_cluster import ValkeyCluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """A cluster of three that is quick to notice a death."""
    with ValkeyCluster(nodes=3, config={"cluster-node-timeout": 500}) as cluster:
        yield cluster


# Each lies in the slots of another node: `CLUSTER KEYSLOT` says 3300, 7365, 15495.
KEYS = {"b": 0, "c": 1, "a": 2}


@pytest.mark.parametrize(("key", "number"), KEYS.items())
def test_each_node_serves_its_slots(cluster: ValkeyCluster, key: str, number: int) -> None:
    """A key is served by one node, and the others point to it."""
    home = cluster.node_of(key)
    assert home is cluster.nodes[number]
    assert home.command("SET", key, number) == "OK"
    for node in cluster.nodes:
        if node is not home:
            with pytest.raises(ReplyError, match=rf"MOVED \d+ 127\.0\.0\.1:{home.port}"):
                node.command("GET", key)


def test_a_cluster_client_finds_every_key(cluster: ValkeyCluster) -> None:
    """redis-py learns of all nodes from the URL of one."""
    with redis.RedisCluster.from_url(cluster.url) as client:
        for number in range(100):
            assert client.set(f"key {number}", number)
        assert client.mget_nonatomic([f"key {number}" for number in range(100)]) == [
            str(number).encode() for number in range(100)
        ]
    assert sum(int(str(node.command("DBSIZE"))) for node in cluster.nodes) >= 100
    assert all(node.command("DBSIZE") for node in cluster.nodes)


def test_a_node_that_cannot_start_ends_the_others() -> None:
    """A cluster starts whole or leaves nothing behind."""
    cluster = ValkeyCluster(nodes=2, config={"no-such-option": "yes"})
    with pytest.raises(LaunchError, match="no-such-option"):
        cluster.start()
    assert all("not running" in repr(node) for node in cluster.nodes)


def test_a_node_that_dies_takes_its_slots_along(cluster: ValkeyCluster) -> None:
    """While one is dead the cluster is down; when it is back, all is served again."""
    cluster.nodes[2].kill()
    wait_until(
        lambda: "cluster_state:fail" in str(cluster.nodes[0].command("CLUSTER", "INFO")),
        "the others notice",
    )
    with pytest.raises(ReplyError, match="CLUSTERDOWN"):
        cluster.nodes[0].command("GET", "b")
    cluster.nodes[2].restart()
    cluster.wait()
    assert cluster.nodes[0].command("SET", "b", "back") == "OK"
