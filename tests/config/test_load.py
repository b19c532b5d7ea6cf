"""From environment, file and directory to settings, and every fault in one list."""

import os
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socialflow_core import CoreError
from socialflow_core.config import Caution, ConfigError, Fault, GroupNotLoadedError
from socialflow_core.config.settings import GROUPS, Settings, load, load_or_exit
from tests.config.judge import faults
from tests.config.oracle import LEAST, LINES

SICK = {
    "BACKEND_PORT": "eighty",
    "TRUSTED_PROXIES": '["10.0.0.0/8',
    "JWT_EXPIRES_IN": "8d",
    "DATA_PRUNING_CRON": "0 2 * *",
    "OTEL_TRACES_SAMPLER_ARG": "2",
    "FACEBOOK_APP_ID": "1",
    "ELASTICSEARCH_TLS_REJECT_UNAUTHORIZED": "false",
    "NODE_ENV": "production",
    "DATABSE_URL": "postgresql://db/app",
}


def test_one_run_finds_every_fault() -> None:
    """Faults in lists, fields and across fields come together, in the form and order promised."""
    with pytest.raises(ConfigError) as caught:
        load(environ=SICK, env_file=None)
    assert str(caught.value) == (
        "Environment validation failed:\n"
        "  • BACKEND_PORT: must be a whole number from 1 to 65535\n"
        "  • DATABASE_URL: required, missing\n"
        "  • JWT_SECRET: required, missing\n"
        "  • JWT_REFRESH_SECRET: required, missing\n"
        "  • JWT_REFRESH_EXPIRES_IN: must be longer than JWT_EXPIRES_IN\n"
        "  • TRUSTED_PROXIES: must be a list of addresses or CIDR blocks such as 10.0.0.0/8, ::1\n"
        "  • TWITTER_API_KEY: required, missing\n"
        "  • TWITTER_API_SECRET: required, missing\n"
        "  • FACEBOOK_APP_SECRET: required with FACEBOOK_APP_ID, missing\n"
        "  • OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1\n"
        "  • ELASTICSEARCH_TLS_REJECT_UNAUTHORIZED: must not be false in production\n"
        "  • DATA_PRUNING_CRON: must be a cron expression of five fields such as 0 2 * * *"
    )
    assert caught.value.faults[1] == Fault("DATABASE_URL", "required, missing")
    assert caught.value.warnings[0] == Caution(
        "DATABSE_URL", "DATABSE_URL: unknown, did you mean DATABASE_URL?"
    )


def test_the_error_is_ours_and_crosses_processes() -> None:
    """A ConfigError is a CoreError that survives pickling with its faults."""
    with pytest.raises(ConfigError) as caught:
        load(environ=SICK, env_file=None)
    assert isinstance(caught.value, CoreError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), vars(copy)) == (str(caught.value), vars(caught.value))


@settings(max_examples=50)
@given(st.lists(st.sampled_from(LINES), unique=True))
def test_faults_stand_in_schema_order(broken: list[Any]) -> None:
    """However many variables are unreadable, each is told once, in the order of the schema."""
    found = faults({**LEAST, **{line.variable: "\x07" for _, line in broken}})
    told = [fault.partition(":")[0] for fault in found]
    order = [line.variable for _, line in LINES]
    assert told == sorted(told, key=order.index)
    assert {line.variable for _, line in broken} <= set(told)


def test_a_rule_runs_when_another_field_is_broken() -> None:
    """A fault hides no other: only a rule whose own fields are broken has to wait."""
    environ = {**LEAST, "JWT_SECRET": "\x07", "JWT_EXPIRES_IN": "8d"}
    assert faults(environ, "auth") == [
        "JWT_SECRET: must not contain control characters",
        "JWT_REFRESH_EXPIRES_IN: must be longer than JWT_EXPIRES_IN",
    ]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_alone_asks_for_nothing_of_others(group: str) -> None:
    """Each group loads without the variables that other groups need."""
    needed = {"database": ["DATABASE_URL"], "auth": ["JWT_SECRET", "JWT_REFRESH_SECRET"]}
    needed["social"] = ["TWITTER_API_KEY", "TWITTER_API_SECRET"]
    assert faults({}, group) == [f"{each}: required, missing" for each in needed.get(group, [])]


def test_a_group_alone_knows_the_environment() -> None:
    """Its defaults and rules depend on APP_ENV, so that is read, and judged, with any group."""
    found = load(["redis"], environ={"NODE_ENV": "production"}, env_file=None)
    assert found.redis.rate_limit_store == "redis"
    assert faults({"APP_ENV": "prod"}, "redis") == [
        "APP_ENV: must be one of development, test, production"
    ]
    assert faults({"APP_ENV": "prod", "BACKEND_PORT": "x"}, "redis") == faults(
        {"APP_ENV": "prod"}, "redis"
    )


def test_a_group_that_was_not_loaded_says_so() -> None:
    """The error names the group, and is an AttributeError, so that hasattr works."""
    found = load(["redis"], environ={}, env_file=None)
    with pytest.raises(GroupNotLoadedError, match='"database" was not loaded') as caught:
        _ = found.database
    assert caught.value.group == "database"
    assert not hasattr(found, "database")
    with pytest.raises(AttributeError, match="nosuch"):
        _ = found.nosuch  # type: ignore[attr-defined]  # -- that is the point


def test_settings_do_not_change() -> None:
    """Neither a group nor a value can be replaced, and an unknown one cannot be added."""
    found = load(["redis"], environ={}, env_file=None)
    for target, name in (
        (found, "redis"),
        (found, "nosuch"),
        (found.redis, "redis_db"),
        (found.redis, "x"),
    ):
        with pytest.raises((AttributeError, ValueError)):
            setattr(target, name, 1)


def test_an_unknown_group_is_an_error_of_the_program() -> None:
    """It is no fault of the environment, so it is no ConfigError."""
    with pytest.raises(ValueError, match="no such group: rediss; there are service, database"):
        load(["rediss"], environ={})


def test_placeholders_do_not_reach_production() -> None:
    """What `.env.example` holds, everybody knows: production refuses it."""
    text = Path(__file__).parents[2].joinpath(".env.example").read_text("utf-8")
    environ = dict(line.split("=", 1) for line in text.splitlines() if line[:1].isalpha())
    assert not faults(environ)
    assert faults({**environ, "APP_ENV": "production"}) == [
        f"{name}: must not be the placeholder of .env.example in production" for name in environ
    ]


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program in this environment."""
    command = [sys.executable, "-W", "error", "-c", code]
    keep = {name: os.environ[name] for name in os.environ if name.startswith("COV")}
    env = {**keep, "PYTHONIOENCODING": "utf-8", **environ}
    return subprocess.run(
        command, env=env, capture_output=True, encoding="utf-8", check=False, cwd="/", timeout=60
    )


def test_load_or_exit_ends_the_program() -> None:
    """Faults go to stderr, with the warnings, nothing to stdout; status 1, no traceback."""
    ended = run(
        "from socialflow_core.config.settings import load_or_exit; load_or_exit(['database'])",
        DATABSE_URL="x",
    )
    assert ended.returncode == 1
    assert not ended.stdout
    assert ended.stderr.splitlines() == [
        *("Environment validation failed:", "  • DATABASE_URL: required, missing"),
        *("Environment warnings:", "  • DATABSE_URL: unknown, did you mean DATABASE_URL?"),
    ]


def test_load_or_exit_goes_on_with_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """Without faults it answers the settings, and prints what there is to know, if anything."""
    found = load_or_exit(["alerts"], environ={}, env_file=None)
    assert capsys.readouterr() == (
        "",
        "Environment warnings:\n  • SLACK_WEBHOOK_URL is not set: no alert reaches Slack\n",
    )
    assert len(found.warnings) == 1
    load_or_exit(["redis"], environ={}, env_file=None)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(SystemExit) as caught:
        load_or_exit(["redis"], environ={"REDIS_DB": "x"}, env_file=None)
    assert caught.value.code == 1
    assert caught.value.__context__ is None


def test_importing_reads_nothing() -> None:
    """The environment may still change between import and `load`."""
    code = (
        "import os; import socialflow_core.config.settings as s\n"
        "os.environ.update(BACKEND_PORT='99', NODE_ENV='test')\n"
        "print(s.load(['service'], env_file=None).service.backend_port)"
    )
    assert run(code, BACKEND_PORT="x", NODE_ENV="x").stdout == "99\n"


def test_config_itself_needs_no_extra() -> None:
    """Values, errors, pools and renderings load nothing but the standard library."""
    code = (
        "import sys; import socialflow_core.config\n"
        "known = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not known & {'pydantic', 'pydantic_core', 'pydantic_settings', 'dotenv'}"
    )
    done = run(code)
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("package", ["pydantic", "pydantic_settings", "dotenv"])
def test_a_missing_package_names_the_extra(package: str) -> None:
    """Whoever forgot the extra is told how to install it."""
    code = f"import sys; sys.modules['{package}'] = None; import socialflow_core.config.settings"
    done = run(code)
    assert 'This needs an extra: pip install "socialflow-core[config]"' in done.stderr


def test_a_group_can_be_built_by_hand() -> None:
    """For tests of one's own: from texts or values, without reading anything."""
    built = Settings.redis.group(redis_deadline="1s", redis_db=4)  # type: ignore[arg-type]  # -- as text
    assert (built.redis_deadline, built.redis_db) == (timedelta(seconds=1), 4)
    assert built.rate_limit_store == "memory"
    assert load(["redis"], environ={}, env_file=None).redis == Settings.redis.group()
