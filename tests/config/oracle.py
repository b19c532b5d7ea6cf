"""The schema a second time, written by hand: what operators were promised, independent of code.

Each line: variable, default (as the settings answer it in development), a text, its value.
"""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from socialflow_core import Secret
from socialflow_core._kit.grammar import RateParts

REQUIRED = "required"
MS, SECOND, MINUTE, DAY = (
    timedelta(milliseconds=1),
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(days=1),
)
SIGNED = "s" * 32


class Line(NamedTuple):
    """One variable of the schema."""

    variable: str
    default: object
    text: str
    value: object


def secret(variable: str, default: object = None, text: str = "k-1") -> Line:
    """A line of which nothing is known but that it is secret."""
    return Line(variable, default, text, Secret(text))


def link(variable: str, default: str | None = None) -> Line:
    """A line with a URL."""
    return Line(variable, default, "https://api.example/v1?a=b", "https://api.example/v1?a=b")


def text(variable: str, default: str | None = None) -> Line:
    """A line with any text."""
    return Line(variable, default, "some text", "some text")


PG = "postgresql://u:p%40ss@db:5433/app?sslmode=require"
HOOK = "https://hooks.slack.com/services/T0/B0/x"

ORACLE: dict[str, list[Line]] = {
    "service": [
        Line("APP_ENV", "development", "Test", "test"),
        Line("BACKEND_PORT", 3001, "65535", 65535),
    ],
    "database": [
        secret("DATABASE_URL", REQUIRED, PG),
        secret("DATABASE_REPLICA_URL", None, "postgres://replica/app"),
        Line("DB_CONNECTION_LIMIT", None, "7", 7),
        Line("DB_POOL_TIMEOUT", None, "3", 3 * SECOND),
        Line("DB_PGBOUNCER", None, "Yes", True),
    ],
    "auth": [
        secret("JWT_SECRET", REQUIRED, SIGNED),
        secret("JWT_REFRESH_SECRET", REQUIRED, SIGNED + "r"),
        Line("JWT_EXPIRES_IN", 15 * MINUTE, "90", 90 * SECOND),
        Line("JWT_REFRESH_EXPIRES_IN", 7 * DAY, "1d12h", 36 * 60 * MINUTE),
        Line("JWT_ALGORITHM", "HS256", "hs256", "HS256"),
        text("JWT_ISSUER"),
        text("JWT_AUDIENCE"),
        Line("JWT_KEYS_FILE", None, "keys/ring.json", Path("keys/ring.json")),
    ],
    "redis": [
        secret("REDIS_URL", None, "rediss://:p@cache:6380/2"),
        Line("REDIS_HOST", "127.0.0.1", "cache", "cache"),
        Line("REDIS_PORT", 6379, "1", 1),
        Line("REDIS_DB", 0, "15", 15),
        secret("REDIS_PASSWORD"),
        Line("REDIS_TLS", False, "on", True),
        Line("REDIS_DEADLINE", 100 * MS, "0.25", 250 * MS),
        Line("RATE_LIMIT_STORE", "memory", "redis", "redis"),
        Line("RATE_LIMIT_AUTH", RateParts(10, 15 * MINUTE), "5/m", RateParts(5, MINUTE)),
        Line("RATE_LIMIT_AI", RateParts(30, MINUTE), "1 per day", RateParts(1, DAY)),
        Line("RATE_LIMIT_GENERAL", RateParts(100, MINUTE), "9/2s", RateParts(9, 2 * SECOND)),
        Line("RATE_LIMIT_RESET", "unix", "delta", "delta"),
        Line("RATE_LIMIT_FAILURE", "local", "closed", "closed"),
        Line(
            "TRUSTED_PROXIES",
            (),
            "10.0.0.0/8, ::1",
            (ip_network("10.0.0.0/8"), ip_network("::1")),
        ),
        Line("REVOCATION_FAILURE", "open", "ask", "ask"),
    ],
    "social": [
        secret("TWITTER_API_KEY", REQUIRED),
        secret("TWITTER_API_SECRET", REQUIRED),
        Line("SOCIAL_PLATFORMS", ("twitter",), "youtube, twitter", ("twitter", "youtube")),
        text("FACEBOOK_APP_ID"),
        secret("FACEBOOK_APP_SECRET"),
        link("FACEBOOK_REDIRECT_URI"),
        link("INSTAGRAM_REDIRECT_URI"),
        text("YOUTUBE_CLIENT_ID"),
        secret("YOUTUBE_CLIENT_SECRET"),
        link("YOUTUBE_REDIRECT_URI"),
        text("TIKTOK_CLIENT_KEY"),
        secret("TIKTOK_CLIENT_SECRET"),
        link("TIKTOK_REDIRECT_URI"),
        text("LINKEDIN_CLIENT_ID"),
        secret("LINKEDIN_CLIENT_SECRET"),
        link("LINKEDIN_REDIRECT_URI"),
        Line("YOUTUBE_SYNC_CRON", "0 */6 * * *", "*/5  * * * mon", "*/5 * * * mon"),
    ],
    "providers": [
        secret("DEEPL_API_KEY"),
        secret("GOOGLE_TRANSLATE_API_KEY"),
        secret("ELEVENLABS_API_KEY"),
        secret("GOOGLE_TTS_API_KEY"),
        link("DEEPL_URL"),
        link("GOOGLE_TRANSLATE_URL"),
        link("ELEVENLABS_URL"),
        link("GOOGLE_TTS_URL"),
    ],
    "billing": [
        secret("STRIPE_SECRET_KEY"),
        Line("STRIPE_WEBHOOK_SECRET", None, '["a", "b"]', (Secret("a"), Secret("b"))),
    ],
    "tracing": [
        text("OTEL_SERVICE_NAME", "socialflow-backend"),
        Line("OTEL_EXPORTER", "jaeger", "NONE", "none"),
        link("JAEGER_ENDPOINT", "http://localhost:14268/api/traces"),
        Line("JAEGER_PROTOCOL", "auto", "thrift", "thrift"),
        secret("HONEYCOMB_API_KEY"),
        text("HONEYCOMB_DATASET", "socialflow"),
        link("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/v1/traces"),
        Line(
            "OTEL_EXPORTER_OTLP_HEADERS",
            None,
            "x-team = a%20b,y=",
            (("x-team", Secret("a b")), ("y", Secret(""))),
        ),
        Line("OTEL_DEBUG", False, "TRUE", True),
        Line("OTEL_SPAN_PROCESSOR", "auto", "simple", "simple"),
        Line("OTEL_TRACES_SAMPLER_ARG", 1.0, "0.25", 0.25),
    ],
    "logs": [
        Line("LOG_LEVEL", "info", "SILLY", "silly"),
        Line("LOG_FORMAT", "console", "json", "json"),
        secret("ELASTICSEARCH_URL", None, "https://u:p@es:9200"),
        text("ELASTICSEARCH_USERNAME"),
        secret("ELASTICSEARCH_PASSWORD"),
        secret("ELASTICSEARCH_API_KEY"),
        Line("ELASTICSEARCH_INDEX", "socialflow-logs", "logs-2", "logs-2"),
        Line("ELASTICSEARCH_TLS_REJECT_UNAUTHORIZED", True, "off", False),
        Line("LOG_DIR", None, "/var/log/x", Path("/var/log/x")),
    ],
    "alerts": [
        secret("SLACK_WEBHOOK_URL", None, HOOK),
        Line("SLACK_WEBHOOK_HOSTS", (), "Proxy.local,10.0.0.1", ("proxy.local", "10.0.0.1")),
        secret("PAGERDUTY_INTEGRATION_KEY"),
        Line("ALERT_ERROR_RATE_PERCENT", 10.0, "0.5", 0.5),
        Line("ALERT_RESPONSE_TIME_MS", 5000 * MS, "1", MS),
        Line("ALERT_CONSECUTIVE_FAILURES", 3, "1", 1),
        Line("ALERT_COOLDOWN_MS", 300_000 * MS, "2", 2 * MS),
        Line("HEALTH_CHECK_INTERVAL_MS", 300_000 * MS, "3", 3 * MS),
        Line("REQUIRE_INTEGRATIONS", (), "images,ffmpeg", ("ffmpeg", "images")),
    ],
    "retention": [
        Line("DATA_PRUNING_ENABLED", False, "1", True),
        Line("DATA_PRUNING_DRY_RUN", False, "true", True),
        Line("DATA_PRUNING_CRON", "0 2 * * *", " 5 * * * * ", "5 * * * *"),
        Line("DATA_PRUNING_TIMEZONE", None, "Europe/Paris", ZoneInfo("Europe/Paris")),
        Line("DATA_RETENTION_MODE", "archive", "delete", "delete"),
        Line("DATA_RETENTION_ARCHIVE_DIR", Path("cold-storage"), "/cold", Path("/cold")),
        Line("DATA_RETENTION_LOG_DAYS", 30 * DAY, "1", DAY),
        Line("DATA_RETENTION_ANALYTICS_DAYS", 90 * DAY, "2", 2 * DAY),
        Line("DATA_RETENTION_LOG_PATHS", (Path("logs"),), "a, b/c", (Path("a"), Path("b/c"))),
        Line(
            "DATA_RETENTION_ANALYTICS_PATHS", (Path("data/analytics"),), '["a,b"]', (Path("a,b"),)
        ),
        Line("DATA_RETENTION_MISSING_PATH_POLICY", "warn", "fail", "fail"),
        Line("DATA_RETENTION_MISSING_PATH_ALERT_THRESHOLD", 3, "0", 0),
    ],
    "backup": [
        Line("S3_BACKUP_BUCKET", None, "my.bucket-1", "my.bucket-1"),
        link("S3_ENDPOINT_URL"),
        text("AWS_REGION", "us-east-1"),
        Line("BACKUP_FORMAT", "plain", "custom", "custom"),
        Line("BACKUP_RETENTION_DAYS", 30 * DAY, "1", DAY),
        Line("BACKUP_KEEP_MIN", 3, "1", 1),
        Line("S3_PRESIGNED_URL_EXPIRY_SECONDS", 3600 * SECOND, "1", SECOND),
    ],
    "jobs": [
        Line("WORKER_MONITOR_INTERVAL_MS", 30_000 * MS, "1", MS),
        Line("WORKER_MONITOR_LATENCY_THRESHOLD_MS", 60_000 * MS, "1", MS),
        Line("WORKER_MONITOR_STUCK_THRESHOLD_MS", 300_000 * MS, "1", MS),
        Line("WORKER_MONITOR_QUEUES", (), "mail,video", ("mail", "video")),
    ],
    "search": [
        link("MEILISEARCH_HOST", "http://localhost:7700"),
        secret("MEILISEARCH_ADMIN_KEY"),
        secret("MEILISEARCH_SEARCH_KEY"),
    ],
    "other": [
        Line("HMAC_TIMESTAMP_TOLERANCE_MS", 300_000 * MS, "1", MS),
        Line("DYNAMIC_CONFIG_POLL_INTERVAL_MS", 60_000 * MS, "1", MS),
        Line("MODERATION_MODE", "fail-closed", "fail-open", "fail-open"),
        Line("MODERATION_SENSITIVITY", "medium", "low", "low"),
        Line("SHUTDOWN_TIMEOUT", 30 * SECOND, "1m30s", 90 * SECOND),
    ],
}

LINES = [(group, line) for group, lines in ORACLE.items() for line in lines]
# What a start needs at least.
LEAST = {line.variable: line.text for _, line in LINES if line.default is REQUIRED}
