"""The schema is the contract with operators: every name, type, default and rule of it."""

import re
from pathlib import Path

import pytest

from socialflow_core.config import Variable, example, table
from socialflow_core.config.settings import GROUPS, Group, Settings, load, schema
from tests.config.oracle import LEAST, LINES, ORACLE, REQUIRED, Line

ROOT = Path(__file__).parents[2]
VARIABLES = [variable for variables in schema().values() for variable in variables]


def load_from(environ: dict[str, str], *groups: str) -> Settings:
    """The settings of these groups, or of all, from *environ* and nothing else."""
    return load(groups or None, environ=environ, env_file=None)


def answer(settings: Settings, group: str, line: Line) -> object:
    """What the settings say of a variable."""
    return getattr(settings.groups[group], line.variable.lower())


def test_it_has_the_variables_that_were_promised_in_their_order() -> None:
    """Groups and variables are those of the contract: none is missing, none is new."""
    assert {group: [each.name for each in found] for group, found in schema().items()} == {
        group: [line.variable for line in lines] for group, lines in ORACLE.items()
    }


@pytest.mark.parametrize(("group", "line"), LINES, ids=lambda each: getattr(each, "variable", ""))
def test_a_variable_means_what_was_promised(group: str, line: Line) -> None:
    """Unset, it answers its default; set, it answers the value that its type promises."""
    if line.default is not REQUIRED:
        assert answer(load_from(LEAST), group, line) == line.default
    others = dict(PARTNERS.get(line.variable, {}))
    found = answer(load_from({**LEAST, **others, line.variable: line.text}), group, line)
    assert found == line.value
    assert type(found) is type(line.value)


# Without these, the variable alone breaks a rule.
PARTNERS = {
    "JWT_REFRESH_EXPIRES_IN": {"JWT_EXPIRES_IN": "1m"},
    "SOCIAL_PLATFORMS": {"YOUTUBE_CLIENT_ID": "i", "YOUTUBE_CLIENT_SECRET": "s"},
    "FACEBOOK_APP_ID": {"FACEBOOK_APP_SECRET": "s"},
    "FACEBOOK_APP_SECRET": {"FACEBOOK_APP_ID": "i"},
    "YOUTUBE_CLIENT_ID": {"YOUTUBE_CLIENT_SECRET": "s"},
    "YOUTUBE_CLIENT_SECRET": {"YOUTUBE_CLIENT_ID": "i"},
    "TIKTOK_CLIENT_KEY": {"TIKTOK_CLIENT_SECRET": "s"},
    "TIKTOK_CLIENT_SECRET": {"TIKTOK_CLIENT_KEY": "i"},
    "LINKEDIN_CLIENT_ID": {"LINKEDIN_CLIENT_SECRET": "s"},
    "LINKEDIN_CLIENT_SECRET": {"LINKEDIN_CLIENT_ID": "i"},
    "STRIPE_WEBHOOK_SECRET": {"STRIPE_SECRET_KEY": "k"},
    "ELASTICSEARCH_USERNAME": {"ELASTICSEARCH_PASSWORD": "p"},
    "ELASTICSEARCH_PASSWORD": {"ELASTICSEARCH_USERNAME": "u"},
}


@pytest.mark.parametrize(
    ("app_env", "limit", "seconds", "store", "form", "folder"),
    [
        ("development", 5, 10, "memory", "console", None),
        ("test", 2, 10, "memory", "json", None),
        ("production", 10, 20, "redis", "json", Path("logs")),
    ],
)
def test_defaults_that_depend_on_the_environment(
    app_env: str, limit: int, seconds: int, store: str, form: str, folder: Path | None
) -> None:
    """Pool, store of limits, form and folder of logs follow APP_ENV."""
    settings = load_from({**LEAST, "APP_ENV": app_env})
    options = settings.database.pool.options
    assert (options.limit, options.timeout.total_seconds()) == (limit, seconds)
    assert settings.redis.rate_limit_store == store
    assert (settings.logs.log_format, settings.logs.log_dir) == (form, folder)


def test_every_group_is_one_attribute_and_knows_the_environment() -> None:
    """A group is reached by its name, has its own type, and carries APP_ENV for its rules."""
    settings = load_from({**LEAST, "NODE_ENV": "test"})
    for name, kind in GROUPS.items():
        group = getattr(settings, name)
        assert type(group) is kind
        assert issubclass(kind, Group)
        assert group.app_env == "test"
        assert isinstance(kind.__doc__, str)


def test_defaults_that_are_written_down_are_those_that_hold() -> None:
    """Setting every documented default explicitly changes nothing."""
    written = {each.name: each.default for each in VARIABLES if each.literal and each.default}
    explicit = load_from({**LEAST, **written})
    assert repr(explicit) == repr(load_from(LEAST))


def test_the_example_is_tracked() -> None:
    """`.env.example` is what `config example` writes."""
    assert (ROOT / ".env.example").read_text("utf-8") == example(schema())


def test_the_example_works_as_it_is(tmp_path: Path) -> None:
    """`cp .env.example .env`, and the service starts; with every line that can be uncommented, too."""
    text = example(schema())
    (tmp_path / ".env").write_text(text)
    copied = load(environ={}, env_file=tmp_path / ".env")
    assert [each.variable for each in copied.warnings] == ["SLACK_WEBHOOK_URL"]
    (tmp_path / ".env").write_text(re.sub(r"^# (?=[A-Z0-9_]+=)", "", text, flags=re.MULTILINE))
    assert repr(load(environ={}, env_file=tmp_path / ".env")) == repr(copied)


def test_the_example_is_plain_enough_for_everybody() -> None:
    """It is ASCII, without quotes, which `docker --env-file` would take as part of a value."""
    lines = example(schema()).splitlines()
    values = [line for line in lines if re.match(r"(# )?[A-Z0-9_]+=", line)]
    assert all(line.isascii() for line in lines)
    assert not [line for line in values if set(line) & set("'\"")]
    assert len(values) == len(LINES)


def test_the_reference_is_what_the_schema_says() -> None:
    """The page of the documentation is what `config table` writes."""
    page = ROOT / "docs/reference/environment.md"
    assert page.read_text("utf-8") == table(schema())


def test_the_reference_has_a_row_for_every_variable() -> None:
    """Each row has five cells; bars inside a cell are escaped."""
    rows = [line for line in table(schema(), prefix="X_").splitlines() if line.startswith("| `X_")]
    cells = [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]
    assert [len(row) for row in cells] == [5] * len(LINES)
    assert [row[0].split("`")[1] for row in cells] == [f"X_{line.variable}" for _, line in LINES]


def test_every_variable_is_explained() -> None:
    """Each says in a sentence what it is for, and none of its words differ from docs to file."""
    for variable in VARIABLES:
        assert isinstance(variable, Variable)
        assert re.fullmatch(r"[A-Z].*\.", variable.about), variable.name
        assert variable.kind
    assert {each.name: each.needed for each in VARIABLES if each.needed == "yes"} == {
        "DATABASE_URL": "yes",
        "JWT_SECRET": "yes",
        "JWT_REFRESH_SECRET": "yes",
    }


def test_a_schema_of_some_groups_has_those_alone() -> None:
    """`schema(["redis"])` is what a team that wants rate limits alone has to know."""
    assert list(schema(["redis", "search"])) == ["redis", "search"]
    with pytest.raises(ValueError, match="no such group: nosuch; there are service, database"):
        schema(["nosuch"])
