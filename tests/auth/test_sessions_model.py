"""Two clients and a network that loses requests and answers, against a simple model.

Both clients may hold tokens of the same session: one of them may have stolen them. The
model knows every token that was ever made, and says which one is good.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from socialflow_core._kit.clock import unix_us
from socialflow_core.auth._interface import ReusedError, TokenError
from socialflow_core.auth._sessions import SessionOptions
from socialflow_core.auth.memory import MemoryRevocations, MemorySessions
from socialflow_core.auth.redis import RedisRevocations, RedisSessions
from socialflow_core.auth.sessions import Sessions
from socialflow_core.testing.clock import ManualClock
from tests.auth.simple import SimpleSigner, SimpleVerifier

if TYPE_CHECKING:
    from socialflow_core.auth._sessions import TokenPair
    from socialflow_core.testing.servers.valkey import Valkey

GRACE = timedelta(hours=1)
USERS = ("ann", "bob")
clients = st.sampled_from(["one", "two"])
networks = st.sampled_from(["good", "good", "loses the request", "loses the answer"])


@dataclass
class Grant:
    """A session, as the model has it."""

    subject: str
    chain: list[str]
    access: list[str]
    revoked: set[str] = field(default_factory=set)
    turned_us: int = 0
    is_alive: bool = True


class Model(RuleBasedStateMachine):
    """The clients, the service, and what must be true of them."""

    def clock(self) -> int:
        """The time of service and clients."""
        return unix_us()

    def make(self) -> tuple[Any, Any]:
        """A fresh store of sessions, and one of revocations."""
        raise LookupError

    def __init__(self) -> None:
        super().__init__()
        self.store, self.revocations = self.make()
        self.verifier = SimpleVerifier(self.revocations, self.clock)
        self.service = Sessions(
            SimpleSigner(self.clock),
            self.verifier,
            self.store,
            self.revocations,
            options=SessionOptions(grace=GRACE),
        )
        self.grants: list[Grant] = []
        # What each client holds: tokens by the place of their session.
        self.held: dict[str, list[tuple[Grant, str]]] = {"one": [], "two": []}

    def teardown(self) -> None:
        """Close what can be closed."""
        for part in (self.store, self.revocations):
            getattr(part, "close", lambda: None)()

    def pick(self, client: str, back: int) -> tuple[Grant, str] | None:
        """A refresh token that the client holds, the newest at 0."""
        held = self.held[client]
        return held[-1 - back % len(held)] if held else None

    @rule(client=clients, subject=st.sampled_from(USERS), network=networks)
    def login(self, client: str, subject: str, network: str) -> None:
        """A session begins, although the client may not hear of it."""
        if network == "loses the request":
            return
        pair = self.service.login(subject)
        grant = Grant(subject, [pair.refresh.reveal()], [pair.access.reveal()])
        self.grants.append(grant)
        if network == "good":
            self.held[client].append((grant, pair.refresh.reveal()))

    @rule(client=clients, back=st.sampled_from([0, 0, 0, 1, 2]), network=networks)
    def refresh(self, client: str, back: int, network: str) -> None:
        """With the newest token that the client holds, or an older one: a retry, or a theft."""
        held = self.pick(client, back)
        if held is None or network == "loses the request":
            return
        grant, token = held
        pair = self.answer(grant, token)
        if pair is not None and network == "good":
            self.held[client].append((grant, pair.refresh.reveal()))

    def answer(self, grant: Grant, token: str) -> TokenPair | None:
        """What the service answers, held against the model."""
        place, last = grant.chain.index(token), len(grant.chain) - 1
        in_grace = self.clock() < grant.turned_us + GRACE // timedelta(microseconds=1)
        try:
            pair = self.service.refresh(token)
        except ReusedError:
            assert grant.is_alive
            assert place < last - 1 or (place == last - 1 and not in_grace)
            grant.is_alive = False
            return None
        except TokenError:
            assert not grant.is_alive
            return None
        assert grant.is_alive
        if place == last:
            grant.chain.append(pair.refresh.reveal())
            grant.turned_us = self.clock()
            assert len(set(grant.chain)) == len(grant.chain)
        else:
            assert place == last - 1
            assert in_grace
            assert pair.refresh.reveal() == grant.chain[-1]
        grant.access.append(pair.access.reveal())
        return pair

    @rule(thief=clients, client=clients)
    def steal(self, thief: str, client: str) -> None:
        """One client copies what the other holds."""
        held = self.pick(client, 0)
        if held is not None:
            self.held[thief].append(held)

    @rule(client=clients, network=networks, back=st.integers(0, 2))
    def logout(self, client: str, network: str, back: int) -> None:
        """Any refresh token of a session ends it, a consumed one too."""
        held = self.pick(client, back)
        if held is not None and network != "loses the request":
            self.service.logout(held[1])
            held[0].is_alive = False

    @rule(data=st.data())
    @precondition(lambda self: self.grants)
    def revoke_access(self, data: st.DataObject) -> None:
        """One access token, alone."""
        grant = data.draw(st.sampled_from(self.grants))
        token = data.draw(st.sampled_from(grant.access))
        self.service.revoke(token)
        grant.revoked.add(token)

    @rule(subject=st.sampled_from(USERS), network=networks)
    def logout_everywhere(self, subject: str, network: str) -> None:
        """Every session of one user."""
        if network == "loses the request":
            return
        mine = [grant for grant in self.grants if grant.subject == subject]
        assert self.service.logout_everywhere(subject) == sum(grant.is_alive for grant in mine)
        for grant in mine:
            grant.is_alive = False

    @invariant()
    def access_tokens_are_good_as_long_as_they_should(self) -> None:
        """Every one ever made, and the list of sessions as well."""
        for grant in self.grants:
            for token in grant.access:
                try:
                    self.verifier.verify(token, failure="closed")
                    is_good = True
                except TokenError:
                    is_good = False
                assert is_good is (grant.is_alive and token not in grant.revoked)
        for subject in USERS:
            alive = sum(grant.is_alive for grant in self.grants if grant.subject == subject)
            assert len(self.service.sessions(subject)) == alive


def test_in_memory() -> None:
    """As the model says, in this process; time goes by as well."""
    manual = ManualClock()

    class InMemory(Model):
        """Over memory."""

        def clock(self) -> int:
            """In the test's hands."""
            return manual()

        def make(self) -> tuple[Any, Any]:
            """Fresh ones."""
            return MemorySessions(clock=manual), MemoryRevocations(clock=manual)

        @rule(minutes=st.sampled_from([20, 59, 61]))
        def wait(self, minutes: int) -> None:
            """Time goes by; access tokens end meanwhile, and are no matter any more."""
            manual.advance(timedelta(minutes=minutes))
            for grant in self.grants:
                grant.revoked.update(grant.access)

    run_state_machine_as_test(InMemory, settings=settings(max_examples=60, deadline=None))


def test_in_redis(valkey: Valkey) -> None:
    """As the model says, by the scripts."""

    class InRedis(Model):
        """Over Redis, and its clock."""

        def make(self) -> tuple[Any, Any]:
            """Fresh ones."""
            valkey.command("FLUSHALL")
            patient = timedelta(seconds=10)
            return (
                RedisSessions.from_url(valkey.url, deadline=patient),
                RedisRevocations.from_url(valkey.url, deadline=patient),
            )

    run_state_machine_as_test(
        InRedis, settings=settings(max_examples=15, stateful_step_count=20, deadline=None)
    )
