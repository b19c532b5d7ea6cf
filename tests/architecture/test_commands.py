"""The commands that people are told to type exist, and say the same everywhere."""

import ast
import os
import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.house import ROOT

SET_UP = "python3 -m venv .venv && .venv/bin/pip install nox && .venv/bin/nox -s"
SESSIONS = {
    *("alone", "bench", "browser", "config", "demo", "docs", "faults", "lint", "lowest"),
    *("tests", "types", "wheel"),
}


def sessions() -> set[str]:
    """The sessions that noxfile.py defines."""
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(each).startswith("nox.session") for each in node.decorator_list)
    }


def tried_alone() -> set[str]:
    """The extras that `nox -s alone` installs by themselves."""
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    (table,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ALONE"
    ]
    assert isinstance(table, ast.Dict)
    return {str(key.value) for key in table.keys if isinstance(key, ast.Constant)}


def written(path: Path) -> set[str]:
    """The sessions that a text tells to run."""
    return set(re.findall(r"nox -s ([a-z]+)", path.read_text("utf-8")))


def test_the_sessions_are_what_they_should_be() -> None:
    """No gate gets lost: noxfile.py defines these sessions and no others."""
    assert sessions() == SESSIONS


def test_every_extra_is_tried_alone() -> None:
    """Each extra of pyproject.toml, and none at all, has its own environment and tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert tried_alone() == {"", *project["optional-dependencies"]} - {"all"}


def test_every_command_that_is_written_down_exists() -> None:
    """README, CONTRIBUTING, docs and workflows name only sessions that there are."""
    texts = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / ".github" / "workflows").glob("*.yml"),
        ROOT / ".ci" / "run",
    ]
    unknown = {path.name: written(path) - SESSIONS for path in texts}
    assert {name: found for name, found in unknown.items() if found} == {}
    assert SESSIONS - written(ROOT / "CONTRIBUTING.md") == set()


@pytest.mark.parametrize("session", ["demo", "tests"])
def test_readme_has_the_two_commands(session: str) -> None:
    """On a machine with nothing but Python, one line does all, and it stands in the README."""
    assert f"{SET_UP} {session}\n" in (ROOT / "README.md").read_text("utf-8")


def test_ci_runs_what_readme_says() -> None:
    """CI types the README's command, and the faults; it is a program."""
    script = ROOT / ".ci" / "run"
    text = script.read_text("utf-8")
    assert f"{SET_UP} tests" in text
    assert written(script) == {"tests", "faults"}
    assert os.access(script, os.X_OK)


def test_the_workflow_runs_every_gate() -> None:
    """The public workflow runs the same sessions as a developer does."""
    workflow = ROOT / ".github" / "workflows" / "ci.yml"
    assert {"tests", "faults", "demo"} <= written(workflow)
