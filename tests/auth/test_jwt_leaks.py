"""A token or a key never appears: not in errors, their causes, tracebacks, reprs or logs."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socialflow_core._kit.observe import subscribe
from socialflow_core.auth import TokenError, TokenKind, TokenRules
from socialflow_core.auth._compact import encode64
from socialflow_core.auth.jwt import (
    ALGORITHMS,
    AsyncTokenVerifier,
    KeyRing,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
)
from tests.auth.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import pytest

    from socialflow_core._kit.observe import Fact

RULES = TokenRules()
secrets = st.binary(min_size=32, max_size=64)
texts = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=40)


def spellings(secret: str | bytes) -> list[str]:
    """How a secret could be recognised."""
    plain = secret.encode() if isinstance(secret, str) else secret
    told = plain.decode("latin-1")
    return [
        told,
        repr(plain),
        repr(plain)[2:-1],
        plain.hex(),
        b64encode(plain).decode(),
        encode64(plain),
    ]


def told_by(error: BaseException) -> Iterator[str]:
    """All that an error could show to whoever logs it."""
    seen: BaseException | None = error
    yield "".join(traceback.format_exception(error))
    while seen is not None:
        yield from (str(seen), repr(seen), repr(seen.args), repr(getattr(seen, "__dict__", "")))
        seen = seen.__cause__ or seen.__context__
    yield pickle.dumps(error).decode("latin-1")


def raised(act: Callable[[], object]) -> BaseException | None:
    """What it raises."""
    try:
        act()
    except (TokenError, ValueError, TypeError) as error:
        return error
    return None


def assert_untold(parts: list[str], act: Callable[[], object]) -> None:
    """None of *parts* is in what *act* raises."""
    error = raised(act)
    for told in told_by(error) if error is not None else ():
        for part in parts:
            assert part not in told


def damaged(token: str, secret: bytes) -> Iterator[str]:
    """The same token, wrong in many ways; each has most of it still."""
    head, body, tail = token.split(".")
    yield from (token[:-3], token + "=", token + "é", f"{head}.{body}", f"{token}.{tail}")
    yield from (f"{head}.{body}!.{tail}", f"{head}.{tail}.{body}", f"{head}.{body}.")
    yield token * 100
    for header in (
        b'{"alg":"none","typ":"at+jwt"}',
        b'{"alg":"HS512","typ":"at+jwt"}',
        b"{" + secret,
    ):
        yield f"{encode64(header)}.{body}.{tail}"
    yield from (encode64(secret), f"{encode64(secret)}.{encode64(secret)}.{encode64(secret)}")


class Told(Ear):
    """Writes down all that `observe` tells."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard

    def on_fact(self, fact: Fact, /) -> None:
        """A fact."""
        self._heard.append(repr(fact))

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """A count."""
        self._heard.append(f"{name} {by} {attributes}")

    def on_span(
        self, name: str, attributes: Mapping[str, object], /
    ) -> AbstractContextManager[None]:
        """A span."""
        self._heard.append(f"{name} {attributes}")
        return super().on_span(name, attributes)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(secrets, texts)
def test_no_error_holds_a_token(caplog: pytest.LogCaptureFixture, secret: bytes, own: str) -> None:
    """Whatever is wrong with a token: neither it, nor its parts, nor the key."""
    ring = KeyRing(TokenKey("HS256", secret))
    issuer = TokenIssuer(RULES, access=ring)
    verifier, awaited = TokenVerifier(RULES, access=ring), AsyncTokenVerifier(RULES, access=ring)
    token = issuer.sign(issuer.claims(TokenKind.ACCESS, "ann", own={"own": own}))
    parts = [*spellings(secret), own, *token.split(".")[1:]]
    verifier.verify(token)
    heard = list[str]()
    unsubscribe = subscribe(Told(heard))
    with caplog.at_level(logging.DEBUG):
        for bad in damaged(token, secret):
            # What is shorter may stand in any text by chance.
            told = [*parts, *(part for part in bad.split(".") if len(part) > 8)]
            assert raised(partial(verifier.verify, bad)) is not None
            assert_untold(told, partial(verifier.verify, bad))
        assert_untold(parts, lambda: verifier.verify(token, TokenKind.REFRESH))
        assert_untold(parts, lambda: asyncio.run(awaited.verify(token[:-3])))
    unsubscribe()
    assert heard
    shown = [
        *heard,
        repr(verifier),
        repr(issuer),
        repr(ring),
        repr(ring.state),
        str(awaited),
        caplog.text,
    ]
    assert not [part for part in parts for told in shown if part in told]


@settings(deadline=None)
@given(st.binary(min_size=8, max_size=80) | texts)
def test_no_error_holds_a_key(secret: str | bytes) -> None:
    """Whatever is wrong with a key: too short, no key at all, of another kind."""
    parts = spellings(secret)
    for algorithm in ALGORITHMS:
        assert_untold(parts, partial(TokenKey, algorithm, secret))
    plain = secret.encode() if isinstance(secret, str) else secret
    for jwk in _jwks(encode64(plain)):
        for name in ("HS512", "RS256", "ES256", "EdDSA"):
            document = {"keys": [{**jwk, "alg": name}]}
            assert_untold(parts, partial(KeyRing.from_jwks, document, algorithms=[name]))
    assert_untold(parts, partial(TokenKey, "HS256", secret, kid="a\n"))
    assert_untold(parts, lambda: KeyRing.from_jwks(secret, algorithms=["HS256"]))


def _jwks(told: str) -> Iterator[dict[str, Any]]:
    yield {"kty": "oct", "k": told}
    yield {"kty": "RSA", "n": told, "e": "AQAB", "d": told}
    yield {"kty": "EC", "crv": "P-256", "x": told, "y": told, "d": told}
    yield {"kty": "OKP", "crv": "Ed25519", "x": told, "d": told}
    yield {"kty": told}


def test_a_verifier_keeps_no_token() -> None:
    """What it remembers is a hash of it, and what it says."""
    ring = KeyRing(TokenKey("HS256", b"x" * 32))
    issuer = TokenIssuer(RULES, access=ring)
    verifier = TokenVerifier(RULES, access=ring)
    token = issuer.sign(issuer.claims(TokenKind.ACCESS, "ann"))
    verifier.verify(token)
    signature = token.rpartition(".")[2]
    seen = verifier._access
    assert len(seen.young) == 1
    assert signature not in repr(seen.young)
    assert all(len(mark) == 32 for mark in seen.young)
