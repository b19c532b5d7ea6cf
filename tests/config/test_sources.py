"""Where variables come from, what they may be called, and which source wins."""

from pathlib import Path

import pytest

from socialflow_core.config import ConfigError
from socialflow_core.config.settings import load
from socialflow_core.config.settings._sources import Variables
from tests.config.judge import faults, warnings
from tests.config.oracle import LEAST, LINES


def test_empty_is_unset_and_white_space_is_dropped() -> None:
    """A variable of white space has its default; around a value white space does not count."""
    environ = {"REDIS_URL": " ", "REDIS_HOST": "\n", "REDIS_PORT": " 6380\n", "REDIS_TLS": "TRUE "}
    redis = load(["redis"], environ=environ, env_file=None).redis
    assert (redis.redis_url, redis.redis_host, redis.redis_port, redis.redis_tls) == (
        *(None, "127.0.0.1"),
        *(6380, True),
    )
    assert not redis.in_use


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"APP_ENV": "staging"}, "APP_ENV: must be one of development, test, production"),
        ({"NODE_ENV": "staging"}, "NODE_ENV: must be one of development, test, production"),
        ({"NODE_ENV": "test", "APP_ENV": "production"}, "APP_ENV: must not differ from NODE_ENV"),
    ],
)
def test_the_name_in_use_is_told(environ: dict[str, str], expected: str) -> None:
    """Messages print the alias when that is set; both set and different is a fault."""
    assert faults(environ, "service") == [expected]
    assert not faults({"NODE_ENV": "test", "APP_ENV": " test "}, "service")


def test_a_prefix_stands_in_front_of_every_name() -> None:
    """Faults, rules and suggestions of an embedding team's settings have its names."""
    environ = {
        "X_NODE_ENV": "test",
        "X_JWT_EXPIRES_IN": "8d",
        "X_JWT_SECRT": "s",
        "JWT_SECRET": "s",
    }
    with pytest.raises(ConfigError) as caught:
        load(["auth"], environ=environ, env_file=None, prefix="X_")
    assert list(map(str, caught.value.faults)) == [
        "X_JWT_SECRET: required, missing",
        "X_JWT_REFRESH_SECRET: required, missing",
        "X_JWT_REFRESH_EXPIRES_IN: must be longer than X_JWT_EXPIRES_IN",
    ]
    assert "X_JWT_SECRT: unknown, did you mean X_JWT_SECRET?" in map(str, caught.value.warnings)
    environ = {f"X_{name}": text for name, text in LEAST.items()}
    assert load(environ=environ, env_file=None, prefix="X_").service.backend_port == 3001


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("DATABSE_URL", "DATABASE_URL"), ("DATABASE_ULR", "DATABASE_URL")),
        *(("database_url", "DATABASE_URL"), ("DATABAES_RUL", "DATABASE_URL")),
        *(("BACKEND_PROT", "BACKEND_PORT"), ("NODE_ENVV", "NODE_ENV"), ("APP-ENV", "APP_ENV")),
        *(("JWTSECRET", "JWT_SECRET"), ("LOG_LEVELS", "LOG_LEVEL"), ("XLOG_DIR", "LOG_DIR")),
    ],
)
def test_a_misspelt_name_is_told(name: str, meant: str) -> None:
    """One or two slips, or another case, is warned of, and never refused."""
    assert f"{name}: unknown, did you mean {meant}?" in warnings({**LEAST, name: "x"})


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "HOSTNAME",
        "LANG",
        "PGHOST",
        "DB_USER",
        "LOG_MIX",
        "NODE_ENVIRON",
        "É" * 10**6,
    ],
)
def test_other_names_are_none_of_our_business(name: str) -> None:
    """What everybody's environment holds is not warned of."""
    assert len(warnings({**LEAST, name: "x"})) == 1  # Slack


def test_names_of_other_groups_are_not_misspelt() -> None:
    """REDIS_TLS is no misspelt REDIS_URL, and a group that is not asked for is still known."""
    environ = {line.variable: line.text for _, line in LINES}
    assert not warnings(environ, "redis", "search", "jobs")


def test_precedence(tmp_path: Path) -> None:
    """The environment wins over the file, that over the directory, and that over the default."""
    env, folder = tmp_path / "service.env", tmp_path / "secrets"
    folder.mkdir()
    names = ["REDIS_PASSWORD", "REDIS_PORT", "REDIS_DB"]
    for name in names:
        (folder / name.lower()).write_text("3\n")
    env.write_text(
        "\ufeffexport REDIS_PORT='2' # two\nREDIS_DB=2\nJUST_A_NAME\n# a remark\n", "utf-8"
    )
    environ = {"REDIS_DB": "1", "REDIS_PORT": " "}
    redis = load(["redis"], environ=environ, env_file=env, secrets_dir=folder).redis
    assert redis.redis_password is not None
    assert (redis.redis_db, redis.redis_port, redis.redis_password.reveal()) == (1, 2, "3")
    assert redis.redis_host == "127.0.0.1"


def test_what_stands_in_the_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """Nothing is expanded: a password may hold ${...} and $."""
    (tmp_path / "x.env").write_text("REDIS_PASSWORD=a${HOME}$b\nREDIS_HOST='#1'\n")
    redis = load(["redis"], environ={}, env_file=tmp_path / "x.env").redis
    assert redis.redis_password is not None
    assert (redis.redis_password.reveal(), redis.redis_host) == ("a${HOME}$b", "#1")


def test_the_process_environment_and_dot_env_are_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without arguments the environment is read, and `.env` of the working directory if there is one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKEND_PORT", "1")
    assert load(["service"]).service.backend_port == 1
    monkeypatch.delenv("BACKEND_PORT")
    Path(".env").write_text("BACKEND_PORT=2")
    assert load(["service"]).service.backend_port == 2


def test_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    """A missing or broken file is told with the rest, and what it should have held is not missed."""
    broken, folder = tmp_path / "broken.env", tmp_path / "secrets"
    broken.write_bytes(b"REDIS_PORT=1\nthis is no line\n'\n")
    (folder / "JWT_SECRET").mkdir(parents=True)
    (folder / "JWT_REFRESH_SECRET").write_bytes(b"\xff" * 40)
    assert faults({}, "auth", env_file=broken, secrets_dir=folder) == [
        f"{broken}: line 2 must be NAME=value",
        f"{broken}: line 3 must be NAME=value",
        f"JWT_SECRET: its file in {folder} cannot be read: Is a directory",
        f"JWT_REFRESH_SECRET: its file in {folder} is not UTF-8 text",
    ]
    broken.write_bytes(b"A=\xff")
    gone = tmp_path / "gone"
    assert faults({}, "redis", env_file=broken, secrets_dir=gone) == [
        f"{broken}: is not UTF-8 text",
        f"{gone}: cannot be read: No such file or directory",
    ]
    assert faults({}, "redis", env_file=gone) == [f"{gone}: does not exist"]
    assert faults({}, "redis", env_file=folder) == [f"{folder}: cannot be read: Is a directory"]


def test_the_source_is_one_of_pydantic_settings() -> None:
    """What `load` reads from can stand among the sources of a settings class."""
    source = Variables([{"NODE_ENV": "test", "APP_ENV": " "}, {"NODE_ENV": "x", "HOME": "/"}])
    assert source() == {"app_env": "test"}
    assert not Variables([])()
