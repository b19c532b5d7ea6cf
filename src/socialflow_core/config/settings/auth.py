"""Tokens, and what signs them."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from socialflow_core._kit.secrets import Secret
from socialflow_core.config._interface import AppEnv

from ._fields import DURATION, PATH, SECRET, TEXT, choice, variable
from ._group import Group
from ._rules import Findings, refuse, warn

__all__ = ["Auth", "JwtAlgorithm"]

# "none" is not among them.
JwtAlgorithm: TypeAlias = Literal[
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]

# RFC 7518, 3.2: a key as long as the hash, or longer.
_HASH_BYTES = {"256": 32, "384": 48, "512": 64}


def _access_secret(app_env: AppEnv, jwt_algorithm: str, jwt_secret: Secret) -> Findings:
    return _long_enough("jwt_secret", app_env, jwt_algorithm, jwt_secret)


def _refresh_secret(app_env: AppEnv, jwt_algorithm: str, jwt_refresh_secret: Secret) -> Findings:
    return _long_enough("jwt_refresh_secret", app_env, jwt_algorithm, jwt_refresh_secret)


def _long_enough(field: str, app_env: AppEnv, algorithm: str, secret: Secret) -> Findings:
    least = _HASH_BYTES.get(algorithm[-3:], 32)
    if len(secret.reveal().encode()) >= least:
        return
    told = f"at least {least} bytes, as many as the hash of {{jwt_algorithm}}"
    if app_env == "production":
        yield refuse(field, f"must have {told}")
    else:
        yield warn(field, f"{{{field}}} should have {told}: production refuses it")


def _secrets_differ(app_env: AppEnv, jwt_secret: Secret, jwt_refresh_secret: Secret) -> Findings:
    if jwt_secret != jwt_refresh_secret:
        return
    if app_env == "production":
        yield refuse("jwt_refresh_secret", "must differ from {jwt_secret}")
    else:
        yield warn(
            "jwt_refresh_secret",
            "{jwt_refresh_secret} should differ from {jwt_secret}: production refuses it",
        )


def _refresh_lives_longer(jwt_expires_in: timedelta, jwt_refresh_expires_in: timedelta) -> Findings:
    if jwt_refresh_expires_in <= jwt_expires_in:
        yield refuse("jwt_refresh_expires_in", "must be longer than {jwt_expires_in}")


def _asymmetric_has_keys(jwt_algorithm: str, jwt_keys_file: Path | None) -> Findings:
    if not jwt_algorithm.startswith("HS") and jwt_keys_file is None:
        yield refuse("jwt_keys_file", "required with an asymmetric {jwt_algorithm}, missing")


class Auth(Group):
    """Tokens."""

    rules = (
        *(_access_secret, _refresh_secret, _secrets_differ),
        *(_refresh_lives_longer, _asymmetric_has_keys),
    )

    jwt_secret: Annotated[Secret, SECRET] = variable(
        "Signs access tokens; at least as many bytes as the hash of JWT_ALGORITHM has.",
        needed="yes",
        placeholder="development-only-secret-of-access-tokens",
    )
    jwt_refresh_secret: Annotated[Secret, SECRET] = variable(
        "Signs refresh tokens; as long, and another one.",
        needed="yes",
        placeholder="development-only-secret-of-refresh-tokens",
    )
    jwt_expires_in: Annotated[timedelta, DURATION] = variable(
        "How long an access token is valid.", "15m"
    )
    jwt_refresh_expires_in: Annotated[timedelta, DURATION] = variable(
        "How long a refresh token is valid; longer than JWT_EXPIRES_IN.", "7d"
    )
    jwt_algorithm: Annotated[JwtAlgorithm, choice(JwtAlgorithm)] = variable(
        "How tokens are signed.", "HS256"
    )
    jwt_issuer: Annotated[str | None, TEXT] = variable("Who issues them: the claim iss.")
    jwt_audience: Annotated[str | None, TEXT] = variable("Whom they are for: the claim aud.")
    jwt_keys_file: Annotated[Path | None, PATH] = variable(
        "A ring of keys (JWKS, each with its kid), for rotation and asymmetric keys.",
        needed="with an asymmetric JWT_ALGORITHM",
    )
