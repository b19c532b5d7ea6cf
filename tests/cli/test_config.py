"""`socialflow-core config`: what operators see of the environment."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from socialflow_core.cli import main
from socialflow_core.config import example, table
from socialflow_core.config.settings import GROUPS, schema

ROOT = Path(__file__).parents[2]
Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and an environment in which nothing of ours is set."""
    monkeypatch.chdir(tmp_path)
    for name in ("APP_ENV", "NODE_ENV"):
        monkeypatch.delenv(name, raising=False)


def test_a_copy_of_the_example_is_valid(printed: Printed) -> None:
    """`cp .env.example .env` is enough for `config check`, which tells the pool and its rule."""
    Path(".env").write_text((ROOT / ".env.example").read_text("utf-8"))
    assert main(["config", "check", "--cores", "2"]) == 0
    out, err = printed.readouterr()
    assert out == (
        f"The environment is valid: {', '.join(GROUPS)}.\n"
        "Database pool: at most 5 connections in each process, 10s to wait for one.\n"
        "Guidance: 5 per instance (2 x CPU cores + 1), and limit x instances <= max_connections"
        " of PostgreSQL.\n"
    )
    assert (
        err == "Environment warnings:\n  • SLACK_WEBHOOK_URL is not set: no alert reaches Slack\n"
    )


@pytest.fixture(name="printed")
def _printed(capsys: Printed) -> Printed:
    return capsys


def test_faults_are_listed(printed: Printed) -> None:
    """Exit code 1, everything on stderr, no traceback."""
    Path("sick.env").write_text("X_BACKEND_PORT=0\nX_JWT_SECRT=s\n")
    arguments = ["--env-file", "sick.env", "--prefix", "X_", "--groups", "service, auth"]
    assert main(["config", "check", *arguments]) == 1
    out, err = printed.readouterr()
    assert not out
    assert err.splitlines() == [
        "Environment validation failed:",
        "  • X_BACKEND_PORT: must be a whole number from 1 to 65535",
        "  • X_JWT_SECRET: required, missing",
        "  • X_JWT_REFRESH_SECRET: required, missing",
        "Environment warnings:",
        "  • X_JWT_SECRT: unknown, did you mean X_JWT_SECRET?",
    ]


def test_some_groups_alone(printed: Printed) -> None:
    """Other groups are not looked at, and without a database there is no word of its pool."""
    assert main(["config", "check", "--groups", "redis"]) == 0
    assert printed.readouterr() == ("The environment is valid: redis.\n", "")


def test_secrets_come_from_a_directory_too(printed: Printed) -> None:
    """As from an orchestrator that mounts one file for each."""
    Path("DATABASE_URL").write_text("postgresql://db/app?pgbouncer=true\n")
    assert main(["config", "check", "--groups", "database", "--secrets-dir", "."]) == 0
    assert "Guidance: 1 per instance (through PgBouncer)" in printed.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--cores", "8", "--instances", "4", "--max-connections", "40"], []),
        (["--cores", "8", "--instances", "4", "--max-connections", "39"], ["instances = 9"]),
        (["--cores", "4"], ["2 x CPU cores + 1 = 9"]),
        (
            ["--cores", "1", "--instances", "11", "--max-connections", "100"],
            ["2 x CPU cores + 1 = 3", "instances = 9"],
        ),
    ],
)
def test_too_many_connections_are_warned_of(
    printed: Printed, arguments: list[str], expected: list[str]
) -> None:
    """Above 2 x cores + 1, and above M / N; a warning is no failure."""
    Path("p.env").write_text("P_DATABASE_URL=postgresql://db/app\nP_APP_ENV=production\n")
    common = ["config", "check", "--groups", "database", "--env-file", "p.env", "--prefix", "P_"]
    assert main([*common, *arguments]) == 0
    warnings = printed.readouterr().err.splitlines()[1:]
    assert len(warnings) == len(expected)
    assert all(map(str.__contains__, warnings, expected))
    assert all(each.startswith("  • P_DB_CONNECTION_LIMIT is above") for each in warnings)


def test_the_outcome_as_json(printed: Printed) -> None:
    """For programs: the same findings, on stdout alone, with the same exit codes."""
    Path(".env").write_text("DATABASE_URL=postgresql://u:hunter2@db/app\nDB_POOL_TIMEOUT=1.5\n")
    arguments = ["config", "check", "--json", "--cores", "1", "--groups"]
    assert main([*arguments, "database"]) == 0
    out, err = printed.readouterr()
    assert not err
    assert "hunter2" not in out
    assert json.loads(out) == {
        "valid": True,
        "groups": ["database"],
        "faults": [],
        "pool": {"limit": 5, "timeout_seconds": 1.5, "prepared_statements": True},
        "warnings": [
            {
                "variable": "DB_CONNECTION_LIMIT",
                "message": "DB_CONNECTION_LIMIT is above 2 x CPU cores + 1 = 3 of this machine",
            }
        ],
    }
    assert main([*arguments, "auth"]) == 1
    found = json.loads(printed.readouterr().out)
    assert (found["valid"], found["groups"], found["pool"]) == (False, [], None)
    assert found["faults"][0] == {"variable": "JWT_SECRET", "reason": "required, missing"}


@pytest.mark.parametrize(
    ("action", "write"), [("example", example), ("table", table)], ids=["example", "table"]
)
def test_the_schema_is_written(printed: Printed, action: str, write: Callable[..., str]) -> None:
    """To stdout or to a file, for all groups or some, with the names of an embedding team."""
    assert main(["config", action]) == 0
    assert printed.readouterr() == (write(schema()), "")
    arguments = ["--output", "file", "--groups", "redis,search", "--prefix", "X_"]
    assert main(["config", action, *arguments]) == 0
    assert Path("file").read_bytes().decode() == write(schema(["redis", "search"]), prefix="X_")
    assert printed.readouterr() == ("", "")


def test_a_file_that_cannot_be_written_is_told(printed: Printed) -> None:
    """Exit code 1, no traceback."""
    assert main(["config", "table", "--output", "no/such/folder"]) == 1
    assert (
        printed.readouterr().err == "no/such/folder cannot be written: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--groups", "redis,cache"], "argument --groups: there are service, database, auth"),
        (["--groups", ""], "argument --groups: there are"),
        (["--instances", "2"], "--instances and --max-connections go together"),
        (["--cores", "0"], "argument --cores: must be a whole number, 1 or more"),
        (["--cores", "٣"], "argument --cores: must be a whole number, 1 or more"),
        (["--cores", "9" * 5000], "argument --cores: must be a whole number, 1 or more"),
    ],
)
def test_a_wrong_command_line_is_told(
    printed: Printed, arguments: list[str], expected: str
) -> None:
    """Exit code 2, as everywhere, with what is possible."""
    with pytest.raises(SystemExit) as caught:
        main(["config", "check", *arguments])
    assert caught.value.code == 2
    assert expected in printed.readouterr().err


@pytest.mark.parametrize("action", [[], ["check"], ["example"], ["table"]])
def test_help_has_examples(printed: Printed, action: list[str]) -> None:
    """Whoever asks sees whole command lines to copy."""
    with pytest.raises(SystemExit) as caught:
        main(["config", *action, "--help"])
    assert caught.value.code == 0
    assert (
        "socialflow-core config check --instances 4 --max-connections 100"
        in printed.readouterr().out
    )
