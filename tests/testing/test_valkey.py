"""The launcher gives real servers that can be hurt and come back."""

import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import socialflow_core
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.process import LaunchError
from socialflow_core.testing.servers.resp import Control, ReplyError
from socialflow_core.testing.servers.valkey import Valkey

ONCE = Retry(NoBackoff(), 0)


@pytest.fixture(scope="module")
def fragile() -> Iterator[Valkey]:
    """A server that each test may hurt, as long as it is well again afterwards."""
    with Valkey(config={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


def test_clients_find_it_by_its_url(valkey: Valkey) -> None:
    """The URL is enough for a client."""
    with redis.Redis.from_url(valkey.url) as client:
        assert client.set("greeting", "hello")
    assert valkey.command("GET", "greeting") == "hello"


def test_password_and_socket_file() -> None:
    """Any password works, by both ways; without it nothing does."""
    with Valkey(password='p@ss "w\\rd/:%', unix_socket=True) as server:
        for url in (server.url, server.unix_url):
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        with (
            redis.Redis(port=server.port, retry=ONCE) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
        assert server.command("PING") == "PONG"


def test_every_kind_of_answer_is_understood(valkey: Valkey) -> None:
    """Text, numbers, nothing, lists of them, bytes that are no text, and errors."""
    valkey.command("FLUSHALL")
    assert valkey.command("GET", "nothing") is None
    assert valkey.command("RPUSH", "list", "ä", "\udcff", "") == 3
    assert valkey.command("LRANGE", "list", 0, -1) == ["ä", "\udcff", ""]
    with pytest.raises(ReplyError, match="WRONGTYPE"):
        valkey.command("GET", "list")
    inner = valkey.command("EVAL", "return {1, {'two'}, redis.error_reply('three'), false}", 0)
    assert isinstance(inner, list)
    one, two, three, four = inner
    assert (one, two, four) == (1, ["two"], None)
    assert isinstance(three, ReplyError)
    assert valkey.command("PING") == "PONG"


def test_it_keeps_nothing_unless_told_to(valkey: Valkey) -> None:
    """By default nothing is written to disk; what the configuration says wins."""
    assert valkey.command("CONFIG", "GET", "save") == ["save", ""]
    assert valkey.command("CONFIG", "GET", "appendonly") == ["appendonly", "no"]
    with Valkey(config={"maxmemory": "3mb", "maxmemory-policy": "noeviction"}) as small:
        assert small.info("memory")["maxmemory"] == str(3 * 1024 * 1024)
        with pytest.raises(ReplyError, match="OOM"):
            small.command("APPEND", "big", "x" * 3 * 1024 * 1024)


def test_frozen_it_accepts_and_says_nothing(fragile: Valkey) -> None:
    """A frozen server times out; thawed, it answers what it was asked meanwhile."""
    with redis.Redis(port=fragile.port, socket_timeout=0.05, retry=ONCE) as client:
        client.ping()
        fragile.freeze()
        try:
            with pytest.raises(redis.TimeoutError):
                client.incr("while frozen")
        finally:
            fragile.thaw()
    wait_until(lambda: fragile.command("GET", "while frozen") == "1", "it caught up")


def test_killed_and_restarted_it_is_found_at_the_same_place(fragile: Valkey) -> None:
    """Same port and files, another process; in between nobody is there."""
    fragile.command("SET", "kept", "yes")
    before = (fragile.port, fragile.pid)
    fragile.kill()
    with pytest.raises(ConnectionRefusedError):
        fragile.command("PING")
    fragile.restart()
    assert fragile.port == before[0]
    assert fragile.pid != before[1]
    assert fragile.command("GET", "kept") == "yes"


def test_a_restart_ends_what_is_running(fragile: Valkey) -> None:
    """A running server is asked to end first, and its clients hear of it."""
    with redis.Redis(port=fragile.port) as client:
        assert client.ping()
        fragile.restart()
        assert client.ping(), "the client connects anew"


def test_round_trips_are_the_clients_own(fragile: Valkey) -> None:
    """A script, a pipeline and a plain command are one each; asking costs nothing."""
    with redis.Redis(port=fragile.port) as client:
        client.ping()
        before, calls = fragile.round_trips(), fragile.calls()
        client.eval("for i = 1, 10 do redis.call('INCR', KEYS[1]) end", 1, "hits")
        client.pipeline(transaction=False).incr("hits").incr("hits").execute()
        client.get("hits")
        fragile.command("PING")
        assert fragile.round_trips() - before == 3
        assert fragile.calls() - calls == {"eval": 1, "incr": 10, "incrby": 2, "get": 1, "ping": 1}


def test_what_we_ask_late_is_not_counted_either(fragile: Valkey) -> None:
    """What we asked while it was frozen does not spoil the count."""
    before = fragile.round_trips()
    fragile.freeze()
    thaw = threading.Timer(0.05, fragile.thaw)
    thaw.start()
    assert fragile.command("ECHO", "late") == "late"
    thaw.join()
    assert fragile.round_trips() == before


@pytest.mark.parametrize("password", [None, "secret"])
def test_a_replica_follows_and_is_read_only(password: str | None) -> None:
    """It has its primary's data and takes no other, until it is promoted."""
    with Valkey(password=password) as primary:
        primary.command("SET", "greeting", "hello")
        with Valkey(password=password, replica_of=primary) as replica:
            assert replica.command("GET", "greeting") == "hello"
            with pytest.raises(ReplyError, match="READONLY"):
                replica.command("SET", "greeting", "bye")
            primary.kill()
            assert replica.command("REPLICAOF", "NO", "ONE") == "OK"
            assert replica.command("SET", "greeting", "bye") == "OK"


def test_a_server_that_cannot_start_says_why() -> None:
    """The error holds the end of the log, and nothing is left behind."""
    server = Valkey(config={"no-such-option": "yes"})
    with pytest.raises(LaunchError, match="Bad directive") as caught:
        server.start()
    assert "no-such-option" in caught.value.log
    with pytest.raises(RuntimeError, match="has not been started"):
        server.freeze()


def test_a_server_that_is_not_ready_in_time_says_why() -> None:
    """A replica whose primary is gone would wait for ever; it is ended instead."""
    with Valkey() as primary:
        replica = Valkey(replica_of=primary)
        primary.kill()
        replica.start_limit = timedelta(seconds=0.3)
        with pytest.raises(LaunchError, match="not ready in time") as caught:
            replica.start()
    assert "Connecting to PRIMARY" in caught.value.log
    assert "not running" in repr(replica)


class Thief(socketserver.TCPServer):
    """Takes a port that was in use, and hangs up on everybody."""

    allow_reuse_address = True


def test_a_port_taken_while_it_was_down_is_told(fragile: Valkey) -> None:
    """It does not move elsewhere; it can come back when the port is free again."""
    fragile.kill()
    with Thief((fragile.host, fragile.port), socketserver.BaseRequestHandler) as thief:
        serving = threading.Thread(target=thief.serve_forever, args=[0.01])
        serving.start()
        with pytest.raises(LaunchError, match=f"somebody took port {fragile.port}"):
            fragile.restart()
        thief.shutdown()
        serving.join()
    fragile.restart()
    assert fragile.command("PING") == "PONG"
    assert "Ready to accept connections" in fragile.log


def test_a_server_that_hangs_up_is_told(fragile: Valkey) -> None:
    """The end of the connection is no answer."""
    control = Control(fragile.port, None, timedelta(seconds=5))
    assert control.ask("QUIT") == "OK"
    with pytest.raises(ConnectionError):
        control.ask("PING")
    control.close()


def test_a_wrong_password_is_told(valkey: Valkey) -> None:
    """The server's own words, and no connection is left open."""
    with pytest.raises(ReplyError, match="AUTH"):
        Control(valkey.port, "wrong", timedelta(seconds=5))


def test_another_protocol_is_told() -> None:
    """Who answers, but not as Redis does, is not believed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        control = Control(listener.getsockname()[1], None, timedelta(seconds=5))
        server, _ = listener.accept()
        with server:
            server.sendall(b"HTTP/1.1 400 Bad Request\r\n")
            with pytest.raises(ConnectionError, match="another protocol"):
                control.ask("PING")
        control.close()


def test_a_port_that_somebody_took_is_told(fragile: Valkey) -> None:
    """Who is started on a port in use is not mistaken for the one who has it."""
    taken = {"port": fragile.port}
    with pytest.raises(LaunchError, match="somebody else was quicker"):
        Valkey(config=taken).start()
    assert fragile.command("PING") == "PONG"


def test_many_start_at_once() -> None:
    """Servers started side by side get ports of their own."""
    servers = [Valkey() for _ in range(8)]
    try:
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(Valkey.start, servers))
        assert len({server.port for server in servers}) == len(servers)
        assert {server.command("PING") for server in servers} == {"PONG"}
    finally:
        for server in servers:
            server.stop()


def test_starting_twice_is_told(valkey: Valkey) -> None:
    """A running server is not started over; a stopped one may be."""
    with pytest.raises(RuntimeError, match="running> has been started already"):
        valkey.start()
    server = Valkey()
    for _ in range(2):
        with server:
            assert server.command("PING") == "PONG"
    server.stop()
    assert "not running" in repr(server)


def test_without_the_wheel_the_error_names_the_command(tmp_path: Path) -> None:
    """In an environment of nothing but this package, the launcher says what to install."""
    (tmp_path / "socialflow_core").symlink_to(Path(socialflow_core.__file__).parent)
    code = "from socialflow_core.testing.servers.valkey import Valkey; Valkey().start()"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert 'pip install "socialflow-core[servers]"' in run.stderr
