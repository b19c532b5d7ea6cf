"""Rules that look at several variables: each by what breaks it and by what does not."""

import pytest

from socialflow_core.config.settings import GROUPS, load
from tests.config.judge import judged
from tests.config.oracle import HOOK, LEAST

S32, S48, S64 = "a" * 32, "b" * 48, "c" * 64
LIVE = {**LEAST, "APP_ENV": "production"}
ONLY_PRISMA = "that only Prisma understands; every other driver connects without them"


def at_least(size: int) -> str:
    """What is said of a JWT secret that is too short."""
    return f"have at least {size} bytes, as many as the hash of JWT_ALGORITHM"


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [("HS256", 32), ("HS384", 48), ("HS512", 64), ("RS256", 32), ("ES512", 64), ("EdDSA", 32)],
)
def test_a_jwt_secret_is_as_long_as_the_hash(algorithm: str, size: int) -> None:
    """A byte too short is refused in production and warned of elsewhere; bytes count, not characters."""
    environ = {
        "JWT_SECRET": "ä" * (size // 2),
        "JWT_REFRESH_SECRET": "r" * (size - 1),
        "JWT_ALGORITHM": algorithm,
        "JWT_KEYS_FILE": "ring.json",
    }
    assert judged({**environ, "APP_ENV": "production"}, "auth") == (
        [f"JWT_REFRESH_SECRET: must {at_least(size)}"],
        [],
    )
    assert judged({**environ, "APP_ENV": "test"}, "auth") == (
        [],
        [f"JWT_REFRESH_SECRET should {at_least(size)}: production refuses it"],
    )
    assert judged({**environ, "JWT_REFRESH_SECRET": "r" * size}, "auth") == ([], [])


def test_a_short_access_secret_is_told_too() -> None:
    """Both secrets are judged, each by itself."""
    environ = {"JWT_SECRET": "a", "JWT_REFRESH_SECRET": S32}
    assert judged({**environ, "APP_ENV": "production"}, "auth")[0] == [
        f"JWT_SECRET: must {at_least(32)}"
    ]
    assert judged(environ, "auth")[1] == [
        f"JWT_SECRET should {at_least(32)}: production refuses it"
    ]


def test_jwt_secrets_differ() -> None:
    """Equal ones are refused in production and warned of elsewhere: a token would pass as the other."""
    environ = {"JWT_SECRET": S32, "JWT_REFRESH_SECRET": S32}
    assert judged({**environ, "APP_ENV": "production"}, "auth") == (
        ["JWT_REFRESH_SECRET: must differ from JWT_SECRET"],
        [],
    )
    assert judged(environ, "auth") == (
        [],
        ["JWT_REFRESH_SECRET should differ from JWT_SECRET: production refuses it"],
    )


@pytest.mark.parametrize(("access", "fits"), [("7d", False), ("8d", False), ("167h", True)])
def test_refresh_tokens_live_longer(access: str, fits: bool) -> None:  # noqa: FBT001 -- a column
    """JWT_REFRESH_EXPIRES_IN is longer than JWT_EXPIRES_IN, also against its default."""
    faults, _ = judged({**LEAST, "JWT_EXPIRES_IN": access}, "auth")
    assert faults == (
        [] if fits else ["JWT_REFRESH_EXPIRES_IN: must be longer than JWT_EXPIRES_IN"]
    )


def test_an_asymmetric_algorithm_has_a_key_ring() -> None:
    """A secret cannot sign with it."""
    environ = {**LEAST, "JWT_ALGORITHM": "RS256"}
    assert judged(environ, "auth")[0] == [
        "JWT_KEYS_FILE: required with an asymmetric JWT_ALGORITHM, missing"
    ]
    assert judged({**environ, "JWT_ALGORITHM": "none"}, "auth")[0][0].startswith(
        "JWT_ALGORITHM: must"
    )


PAIRS = [
    ("FACEBOOK_APP_ID", "FACEBOOK_APP_SECRET"),
    ("YOUTUBE_CLIENT_ID", "YOUTUBE_CLIENT_SECRET"),
    ("TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET"),
    ("LINKEDIN_CLIENT_ID", "LINKEDIN_CLIENT_SECRET"),
    ("TWITTER_API_KEY", "TWITTER_API_SECRET"),
    ("ELASTICSEARCH_USERNAME", "ELASTICSEARCH_PASSWORD"),
]


@pytest.mark.parametrize(("one", "other"), [*PAIRS, *((b, a) for a, b in PAIRS)])
def test_pairs_are_complete(one: str, other: str) -> None:
    """Both or none: the one that is missing is told, with the one that asks for it."""
    environ = {one: "x", "SOCIAL_PLATFORMS": "[]"}
    assert judged(environ, "social", "logs")[0] == [f"{other}: required with {one}, missing"]
    assert judged({**environ, other: "y"}, "social", "logs") == ([], [])


def test_stripe_needs_both_of_its_secrets() -> None:
    """The key alone is warned of; the webhook secret alone is a fault."""
    assert judged({"STRIPE_SECRET_KEY": "k"}, "billing") == (
        [],
        ["STRIPE_WEBHOOK_SECRET is not set: no webhook of Stripe can be verified"],
    )
    assert judged({"STRIPE_WEBHOOK_SECRET": "w"}, "billing") == (
        ["STRIPE_SECRET_KEY: required with STRIPE_WEBHOOK_SECRET, missing"],
        [],
    )
    assert judged({"STRIPE_WEBHOOK_SECRET": "w", "STRIPE_SECRET_KEY": "k"}, "billing") == ([], [])


def test_honeycomb_without_its_key_is_warned_of() -> None:
    """When it is chosen, in the words that operators know."""
    environ = {"OTEL_EXPORTER": "honeycomb"}
    assert judged(environ, "tracing") == ([], ["HONEYCOMB_API_KEY is not set"])
    assert judged({**environ, "HONEYCOMB_API_KEY": "k"}, "tracing") == ([], [])


@pytest.mark.parametrize("port", [4317, 14250])
def test_a_port_for_grpc_is_refused(port: int) -> None:
    """Jaeger's gRPC ports answer no HTTP, so every span would be lost: unless the protocol is named."""
    environ = {"JAEGER_ENDPOINT": f"http://jaeger:{port}"}
    assert judged(environ, "tracing")[0] == [
        "JAEGER_ENDPOINT: must have a port for HTTP (14268 or 4318), not for gRPC"
    ]
    assert judged({**environ, "JAEGER_PROTOCOL": "otlp"}, "tracing") == ([], [])
    assert judged({**environ, "OTEL_EXPORTER": "none"}, "tracing") == ([], [])


def test_debugging_traces_in_production_is_warned_of() -> None:
    """OTEL_DEBUG slows a service down; elsewhere that is its purpose."""
    environ = {"OTEL_DEBUG": "1"}
    assert judged({**environ, "APP_ENV": "production"}, "tracing") == (
        [],
        ["OTEL_DEBUG is on in production: every span is sent by itself"],
    )
    assert judged(environ, "tracing") == ([], [])


def test_certificates_are_checked_in_production() -> None:
    """Elsewhere a self-signed one may be accepted."""
    environ = {"ELASTICSEARCH_TLS_REJECT_UNAUTHORIZED": "no"}
    assert judged({**environ, "APP_ENV": "production"}, "logs")[0] == [
        "ELASTICSEARCH_TLS_REJECT_UNAUTHORIZED: must not be false in production"
    ]
    assert judged(environ, "logs") == ([], [])


def test_what_prisma_alone_understands_is_told() -> None:
    """A driver that does not know sslaccept connects without it: nobody should believe otherwise."""
    url = "postgresql://db/app?connection_limit=3&sslaccept=strict&socket_timeout=5"
    assert judged({"DATABASE_URL": url}, "database") == (
        [],
        [f"DATABASE_URL has parameters {ONLY_PRISMA}: sslaccept, socket_timeout"],
    )


def test_a_limit_that_pgbouncer_overrules_is_told() -> None:
    """The limit is 1 then, whatever was set: that is not silent."""
    environ = {**LEAST, "DB_PGBOUNCER": "true", "DB_CONNECTION_LIMIT": "5"}
    assert judged(environ, "database") == (
        [],
        ["DB_CONNECTION_LIMIT has no effect: with DB_PGBOUNCER the limit is 1"],
    )
    assert load(["database"], environ=environ, env_file=None).database.pool.options.limit == 1
    assert judged({**environ, "DB_CONNECTION_LIMIT": "1"}, "database") == ([], [])


def test_a_healthy_production_has_nothing_to_say() -> None:
    """What is set as it should be starts without a word."""
    environ = {**LIVE, "SLACK_WEBHOOK_URL": HOOK}
    assert judged(environ) == ([], [])
    assert list(load(environ=environ, env_file=None).groups) == list(GROUPS)
