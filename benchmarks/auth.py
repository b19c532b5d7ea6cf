"""Verifying tokens, beside PyJWT and joserfc: at first sight, and when a token comes again.

python -m benchmarks.auth            the figures of the documentation
python -m benchmarks.auth --quick    fewer rounds, and nothing written

The peers check the signature, `exp`, `iat`, `iss`, `aud`, and that `sub` and `jti` are there.
Ours checks that, the `typ`, the bounds and the form of every claim, and asks the revocations.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwt as jose
from joserfc.jwk import KeySet, OctKey

from benchmarks._run import Row, Span, machine, markdown, take_turns, versions
from socialflow_core._kit.clock import unix_us
from socialflow_core.auth import TokenKind, TokenRules
from socialflow_core.auth._revocation import of_token
from socialflow_core.auth.jwt import (
    AsyncTokenVerifier,
    KeyRing,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
)
from socialflow_core.auth.memory import AsyncMemoryRevocations, MemoryRevocations

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks._run import Contender, Cost

_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "auth.md"
_REQUIRED = ("exp", "iat", "sub", "jti", "iss", "aud")
_RULES = TokenRules(issuer="https://api.example.com", audience=("api",))
_MANY, _REVOKED = 1000, 10_000
_FIRST, _SEEN = 1.10, 0.05


class Signed:
    """Tokens of one algorithm, and what verifies them."""

    def __init__(self, algorithm: str, material: Any) -> None:
        self.algorithm = algorithm
        self.secret = material
        self.public = material if algorithm == "HS256" else material.public_key()
        self.ring = KeyRing(TokenKey(algorithm, material, kid="2026-11"))
        self.issuer = TokenIssuer(_RULES, access=self.ring)
        signed = (self.issuer.sign(self.claims(number)) for number in range(_MANY))
        self.tokens = [token.encode() for token in signed]

    def claims(self, number: int) -> Any:
        """Of a user of many."""
        return self.issuer.claims(
            TokenKind.ACCESS, f"user-{number}", session=f"{number:032x}", own={"role": "member"}
        )

    def by_pyjwt(self) -> Callable[[str], object]:
        """How PyJWT verifies."""

        def verify(token: str) -> object:
            return jwt.decode(
                token,
                self.public,
                algorithms=[self.algorithm],
                audience="api",
                issuer=_RULES.issuer,
                options={"require": list(_REQUIRED)},
            )

        return verify

    def by_joserfc(self) -> Callable[[str], object]:
        """How joserfc verifies."""
        if self.algorithm == "HS256":
            keys: Any = OctKey.import_key(self.secret)
        else:
            keys = KeySet.import_key_set(self.ring.jwks())  # type: ignore[arg-type]  # -- it is one
        asked: dict[str, Any] = {name: {"essential": True} for name in _REQUIRED}
        asked["iss"]["value"], asked["aud"]["value"] = _RULES.issuer, "api"
        rules = jose.JWTClaimsRegistry(**asked)

        def verify(token: str) -> object:
            told = jose.decode(token, keys, algorithms=[self.algorithm])
            rules.validate(told.claims)
            return told.claims

        return verify

    def by_us(self, *, max_seen: int = 10 * _MANY) -> Callable[[str], object]:
        """How we verify."""
        return TokenVerifier(
            _RULES, access=self.ring, revocations=revocations(), max_seen=max_seen
        ).verify


def revocations() -> MemoryRevocations:
    """What was revoked; none of it is asked for."""
    issuer = TokenIssuer(_RULES, access=KeyRing(TokenKey("HS256", b"x" * 32)))
    made = (issuer.claims(TokenKind.ACCESS, "somebody") for _ in range(_REVOKED))
    kept = MemoryRevocations()
    kept.revoke(*(of_token(claims) for claims in made))
    return kept


def over(verify: Callable[[str], object], tokens: list[bytes]) -> Contender:
    """*verify* over all, each a new text every time, as a request brings it."""
    around = itertools.cycle(tokens)

    def run(times: int) -> None:
        for token in itertools.islice(around, times):
            verify(token.decode())

    return run


def awaited(signed: Signed) -> Contender:
    """Ours, awaited, with tokens that were seen."""
    verifier = AsyncTokenVerifier(
        _RULES, access=signed.ring, revocations=AsyncMemoryRevocations(revocations())
    )
    runner, around = asyncio.Runner(), itertools.cycle(signed.tokens)

    async def verify(times: int) -> None:
        for token in itertools.islice(around, times):
            await verifier.verify(token.decode())

    return lambda times: runner.run(verify(times))


def signing(signed: Signed) -> dict[str, Contender]:
    """Making a token, from its claims."""
    claims = signed.claims(1)
    seconds = unix_us() // 10**6
    plain = {
        "iss": _RULES.issuer,
        "sub": claims.subject,
        "aud": "api",
        "iat": seconds,
        "exp": seconds + 900,
        "jti": claims.token_id,
        "sid": claims.session,
        "role": "member",
    }
    header = {"kid": "2026-11", "typ": "at+jwt"}

    def pyjwt(times: int) -> None:
        for _ in range(times):
            jwt.encode(plain, signed.secret, signed.algorithm, headers=header)

    def ours(times: int) -> None:
        for _ in range(times):
            signed.issuer.sign(claims)

    return {"PyJWT, sign": pyjwt, "ours, sign": ours}


def contenders() -> dict[str, Contender]:
    """All that is timed."""
    first = Signed("HS256", b"a secret of at least thirty-two bytes")
    told = {
        "PyJWT": over(first.by_pyjwt(), first.tokens),
        "joserfc": over(first.by_joserfc(), first.tokens),
        "ours, first sight": over(first.by_us(max_seen=0), first.tokens),
        "ours, seen": over(first.by_us(), first.tokens),
        "ours, seen, awaited": awaited(first),
        **signing(first),
    }
    others = {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    for name, material in others.items():
        signed = Signed(name, material)
        told[f"PyJWT, {name}"] = over(signed.by_pyjwt(), signed.tokens)
        told[f"ours, {name}"] = over(signed.by_us(max_seen=0), signed.tokens)
    return told


def rows(costs: dict[str, list[Cost]]) -> list[Row]:
    """What came out, with the goals."""
    wall = {name: [cost.wall for cost in told] for name, told in costs.items()}
    cpu = {name: [cost.cpu for cost in told] for name, told in costs.items()}

    def ratio(measure: str, mine: str, theirs: str, goal: float | None = None) -> Row:
        span, busy = (Span.ratio(each[mine], each[theirs]) for each in (wall, cpu))
        return Row(measure=measure, span=span, goal=goal, cpu=busy)

    told = [
        ratio("HS256, first sight: ours / PyJWT", "ours, first sight", "PyJWT", _FIRST),
        ratio("the same / joserfc", "ours, first sight", "joserfc"),
        ratio("a seen token: ours / PyJWT", "ours, seen", "PyJWT", _SEEN),
        ratio("the same, awaited", "ours, seen, awaited", "PyJWT"),
        *(
            ratio(f"{name}, first sight: ours / PyJWT", f"ours, {name}", f"PyJWT, {name}", _FIRST)
            for name in ("RS256", "ES256", "EdDSA")
        ),
        ratio("HS256, signing: ours / PyJWT", "ours, sign", "PyJWT, sign"),
    ]
    return told + [
        Row(measure=name, span=Span.of(each), cpu=Span.of(cpu[name]), unit=" us")
        for name, each in wall.items()
    ]


def page(told: list[Row], rounds: int) -> str:
    """The page of the documentation."""
    table = markdown(("measure", "goal", "median", "range", "CPU", ""), [r.cells() for r in told])
    return f"""# Tokens

{versions("pyjwt", "cryptography", "joserfc")}; {machine()}.

Medians of {rounds} interleaved rounds, by the wall clock and by the CPU's; a ratio is that within a round.
{_MANY:,} tokens of about 380 bytes, each a new text every time. The peers check the signature, `exp`, `iat`, `iss`, `aud`,
and that `sub` and `jti` are there. Ours also checks the `typ` and the form of every claim, and asks revocations in
memory, of which there are {_REVOKED:,}. A seen token is known by its SHA-256, which alone is a quarter of its time.

Measured by `python -m benchmarks.auth`.

{table}"""


def main() -> None:
    """Measure, print, and write the page of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 7 if (quick := parser.parse_args().quick) else 21
    text = page(rows(take_turns(contenders(), rounds=rounds)), rounds)
    print(text)
    if not quick:
        _PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
