"""Blocks report, whoever listens, and never suffer from it."""

import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest

from socialflow_core._kit.observe import Fact, count, fact, span, subscribe

LOST = Fact(block="ratelimit", state="degraded", name="store", reason="no answer")


class Ear:
    """A subscriber that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_fact(self, fact: Fact, /) -> None:
        """A fact."""
        self.heard.append(fact)

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """A count."""
        self.heard.append((name, by, dict(attributes)))

    @contextmanager
    def on_span(self, name: str, attributes: Mapping[str, object], /) -> Iterator[None]:
        """A span."""
        self.heard.append((name, dict(attributes)))
        try:
            yield
        except ZeroDivisionError:
            self.heard.append("failed")
            raise
        finally:
            self.heard.append("ended")


class Deaf:
    """A subscriber that fails at everything."""

    def on_fact(self, fact: Fact, /) -> None:
        """A fact."""
        raise RuntimeError(fact)

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """A count."""
        raise RuntimeError(name, by, attributes)

    def on_span(
        self, name: str, attributes: Mapping[str, object], /
    ) -> AbstractContextManager[None]:
        """A span."""
        raise RuntimeError(name, attributes)


class Rude(Deaf):
    """A subscriber whose span opens, and fails when it ends."""

    @contextmanager
    def on_span(self, name: str, attributes: Mapping[str, object], /) -> Iterator[None]:
        """A span."""
        yield
        raise RuntimeError(name, attributes)


@pytest.fixture
def ear() -> Iterator[Ear]:
    """An ear that hears during the test."""
    ear = Ear()
    leave = subscribe(ear)
    yield ear
    leave()


def test_a_subscriber_hears_everything(ear: Ear) -> None:
    """Facts, counts and spans arrive whole and in order."""
    with span("work", size=1):
        count("hits", 2, tier="auth")
        fact(LOST)
    assert ear.heard == [("work", {"size": 1}), ("hits", 2, {"tier": "auth"}), LOST, "ended"]


def test_after_leaving_it_hears_nothing() -> None:
    """The answer of `subscribe` ends the subscription, also when called twice."""
    ear = Ear()
    leave = subscribe(ear)
    leave()
    leave()
    count("hits")
    assert not ear.heard


def test_an_error_in_the_work_passes_through_its_span(ear: Ear) -> None:
    """The span sees the error, and so does the caller."""
    with pytest.raises(ZeroDivisionError), span("work"):
        raise ZeroDivisionError
    assert ear.heard == [("work", {}), "failed", "ended"]


@pytest.mark.parametrize("broken", [Deaf, Rude])
def test_a_broken_subscriber_breaks_nothing(
    broken: type[Deaf], ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    """The work goes on, the others still hear, and one warning tells it, without details."""
    leave = subscribe(broken())
    try:
        for _ in range(3):
            with span("work", password="hunter2"):
                count("hits", password="hunter2")
                fact(LOST)
    finally:
        leave()
    assert len(ear.heard) == 12
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "hunter2" not in caplog.text
    assert broken.__name__ in caplog.text


def test_a_loss_that_nobody_hears_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Without a subscriber a degraded or recovered fact is one WARNING of its block."""
    fact(LOST)
    fact(Fact(block="ratelimit", state="recovered", name="store", reason="answers again"))
    fact(Fact(block="ratelimit", state="event", name="reset", reason="asked"))
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("socialflow_core.ratelimit", "WARNING", "store degraded: no answer"),
        ("socialflow_core.ratelimit", "WARNING", "store recovered: answers again"),
    ]


def test_a_loss_that_somebody_hears_is_not_logged_again(
    ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    """The subscriber decides what becomes of it."""
    fact(LOST)
    assert ear.heard == [LOST]
    assert not caplog.records


def test_without_a_subscriber_nothing_is_imported() -> None:
    """Observing loads neither logging nor anything else when its module is loaded already."""
    code = (
        "import sys; from socialflow_core._kit.observe import Fact, count, fact, span\n"
        "before = set(sys.modules)\n"
        "with span('work'): count('hits')\n"
        "fact(Fact(block='b', state='event', name='n', reason='r'))\n"
        "assert set(sys.modules) == before, set(sys.modules) - before\n"
        "assert 'logging' not in before"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_subscriber_nothing_is_built() -> None:
    """A span that nobody hears is one shared object; `benchmarks/observe.py` times it."""
    assert span("work", size=1) is span("other")
