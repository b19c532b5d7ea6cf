"""What all four links promise, on a real server."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.redislink import LinkOptions
from socialflow_core.testing.faults import (
    DropReplies,
    Fault,
    FlipBit,
    Pass,
    Reset,
    Truncate,
)
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests.redislink.kit import (
    ADD,
    DEADLINE,
    ECHO,
    OPTIONS,
    clients,
    everything_told,
    takes_at_most,
)

if TYPE_CHECKING:
    from socialflow_core.testing.proxy import FaultProxy
    from tests.redislink.conftest import Make
    from tests.redislink.kit import Driver


def test_a_call_answers_the_entry_of_its_item(link: Driver) -> None:
    """Text and bytes go out as they are, and the one entry comes back."""
    assert [link.call(ADD, ["hits"], [cost]) for cost in (1, 2)] == [1, 3]
    assert link.call(ECHO, [], ["grün"]) == "grün".encode()
    assert link.call(ECHO, [], [b"\x00\r\n"]) == b"\x00\r\n"


def test_a_large_reply_comes_whole(link: Driver) -> None:
    """A reply that takes many reads is one reply."""
    large = secrets.token_bytes(1_000_000)
    assert link.call(ECHO, [], [large]) == large
    assert link.call(ECHO, [], ["after"]) == b"after"


def test_a_script_that_was_flushed_is_sent_again(link: Driver, valkey: Valkey) -> None:
    """The caller never notices that the server forgot the script, and it counts once."""
    assert link.call(ADD, ["hits"], [1]) == 1
    valkey.command("SCRIPT", "FLUSH")
    before = valkey.calls()
    assert link.call(ADD, ["hits"], [1]) == 2
    assert link.call(ADD, ["hits"], [1]) == 3
    ran = valkey.calls() - before
    assert (ran["evalsha"], ran["eval"], ran["incrby"]) == (2, 1, 2)


def test_one_call_is_one_round_trip(link: Driver, valkey: Valkey) -> None:
    """The server reads once for each call."""
    link.call(ADD, ["hits"], [1])
    link.call(ADD, ["hits"], [1])
    before = valkey.round_trips()
    for _ in range(10):
        link.call(ADD, ["hits"], [1])
    assert valkey.round_trips() - before == 10


def test_a_restarted_server_is_found_again(make: Make) -> None:
    """A server killed and started on the same port is used again, without help."""
    with Valkey() as server:
        link = make(server.url)
        assert link.call(ADD, ["hits"], [1]) == 1
        server.kill()
        for _ in range(3):
            with takes_at_most(DEADLINE), pytest.raises(UnavailableError):
                link.call(ADD, ["hits"], [1])
        server.restart()
        link.wait_back()
        assert link.call(ADD, ["hits"], [1]) == 1


def test_a_frozen_server_costs_one_deadline(link: Driver, valkey: Valkey) -> None:
    """One call waits for its deadline; those after it are told at once, and never sent.

    No call probes: the server later says that it saw the first one only.
    """
    link.call(ADD, ["hits"], [1])
    before = valkey.calls()
    valkey.freeze()
    try:
        with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as lost:
            link.call(ADD, ["hits"], [1])
        begin = time.monotonic()
        for _ in range(50):
            with pytest.raises(UnavailableError) as refused:
                link.call(ADD, ["hits"], [1])
            assert refused.value.sent is False
        assert time.monotonic() - begin < 1
    finally:
        valkey.thaw()
    assert lost.value.sent is not False
    link.wait_back()
    ran = valkey.calls() - before
    assert ran["evalsha"] == 1
    assert link.call(ADD, ["hits"], [1]) == 3


@pytest.mark.parametrize("fault", [DropReplies(), Reset(), Truncate(), Truncate(after=2)], ids=repr)
def test_what_was_sent_is_never_sent_again(
    make: Make, proxy: FaultProxy, valkey: Valkey, fault: Fault
) -> None:
    """The caller learns that it may have counted, and it has, once."""
    link = make(f"redis://127.0.0.1:{proxy.port}")
    link.call(ADD, ["hits"], [1])
    proxy.fault = fault
    with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as lost:
        link.call(ADD, ["hits"], [1])
    assert lost.value.sent is not False
    assert valkey.command("GET", "hits") == "2"
    proxy.fault = Pass()
    link.wait_back()
    assert link.call(ADD, ["hits"], [1]) == 3


def test_a_garbled_reply_is_no_other_error(
    make_fast: Make, proxy: FaultProxy, valkey: Valkey
) -> None:
    """Whatever bit of its head is wrong: no answer, or a wrong one; later ones are right."""
    link = make_fast(f"redis://127.0.0.1:{proxy.port}")
    assert link.call(ADD, ["hits"], [1]) == 1
    for bit in range(8):
        for at in range(4):
            proxy.fault = FlipBit(at=at, bit=bit)
            with suppress(UnavailableError):
                link.call(ADD, ["hits"], [1])
            proxy.fault = Pass()
            link.wait_back()
            # A length that was garbled upwards makes the next reply a part of this one.
            with suppress(UnavailableError):
                link.call(ADD, ["hits"], [1])
            link.wait_back()
            before = int(str(valkey.command("GET", "hits")))
            assert link.call(ADD, ["hits"], [1]) == before + 1


def test_a_refusal_of_the_server_was_not_sent(make: Make) -> None:
    """A server that refuses to write has counted nothing, and counts as away until it accepts."""
    with Valkey(config={"maxmemory": "1mb", "maxmemory-policy": "noeviction"}) as server:
        options = LinkOptions(probe_interval=OPTIONS.probe_interval, probe=("SET", "probe", 1))
        link = make(server.url, options)
        with pytest.raises(UnavailableError) as refused:
            link.call(ADD, ["hits"], [1])
        assert refused.value.sent is not True
        with pytest.raises(UnavailableError):
            link.call(ADD, ["hits"], [1])
        server.command("CONFIG", "SET", "maxmemory", 0)
        link.wait_back()
        assert link.call(ADD, ["hits"], [1]) == 1


def test_a_wrong_password_is_told_to_nobody(make: Make) -> None:
    """A password that is refused shows in no error, cause or repr."""
    password = secrets.token_urlsafe()
    with Valkey(password="another") as server:
        link = make(f"redis://somebody:{password}@127.0.0.1:{server.port}")
        with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as refused:
            link.call(ADD, ["hits"], [1])
        assert refused.value.sent is not True
        assert password not in everything_told(refused.value)
        assert password not in repr(link.link)


def test_recovery_is_told_once(make: Make) -> None:
    """Whoever asked to know learns of each return of the server once."""
    told = []

    def tell() -> None:
        told.append(True)

    async def atell() -> None:
        tell()

    with Valkey() as server:
        link = make(server.url)
        link.link.when_recovered(tell if hasattr(link.link, "close") else atell)
        link.call(ADD, ["hits"], [1])
        for _ in range(2):
            server.kill()
            with pytest.raises(UnavailableError):
                link.call(ADD, ["hits"], [1])
            server.restart()
            link.wait_back()
            link.call(ADD, ["hits"], [1])
            wait_until(lambda: bool(told), "somebody is told")
            assert len(told) == 1
            told.clear()


def test_a_closed_link_says_no(make_fast: Make, valkey: Valkey) -> None:
    """After closing, twice even, no connection is left and none is made again."""
    link = make_fast(valkey.url)
    link.call(ADD, ["hits"], [1])
    link.close_link()
    link.close_link()
    with pytest.raises(UnavailableError) as refused:
        link.call(ADD, ["hits"], [1])
    assert refused.value.sent is False
    wait_until(lambda: clients(valkey) == 1, "only our own connection is left")


def test_closing_while_the_server_is_away_ends_at_once(make: Make) -> None:
    """A link that probes for its server can be closed, and leaves no thread."""
    before = threading.active_count()
    with Valkey() as server:
        link = make(server.url)
        server.kill()
        with pytest.raises(UnavailableError):
            link.call(ADD, ["hits"], [1])
        with takes_at_most(DEADLINE):
            link.close_link()
    wait_until(lambda: threading.active_count() <= before, "no thread is left")


def test_a_link_closed_before_use_is_just_closed(make: Make, valkey: Valkey) -> None:
    """Nothing is connected to be closed."""
    make(valkey.url).close_link()
