"""The rules are proved: each kind of violation, planted in a copy, is caught."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.architecture import manners, rules
from tests.architecture.house import NAME, PACKAGE, ROOT, Fault

if TYPE_CHECKING:
    from pathlib import Path


class Plant(NamedTuple):
    """Code to add to one file, and what should be said about it."""

    where: str
    code: str
    caught: str


def planted(tmp_path: Path, *plants: Plant) -> Path:
    """Answer a copy of the package in which *plants* grow."""
    package = tmp_path / NAME
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for plant in plants:
        path = package / plant.where
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (path.parent, *path.parent.parents):
            if folder == package:
                break
            (folder / "__init__.py").touch()
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{plant.code}\n")
    return package


RULES = [
    Plant("newcomer/_core.py", "", "placement: stands on no floor"),
    Plant("helpers.py", "", "placement: stands beside the floors"),
    # Purity: what is imported, called, passed on.
    Plant("ratelimit/_core.py", "import os", "purity: imports os"),
    Plant("ratelimit/_core.py", "from random import random", "purity: imports random random"),
    Plant("ratelimit/_core.py", "from time import time", "purity: imports time time"),
    Plant("ratelimit/_core.py", "from pathlib import Path", "purity: imports pathlib Path"),
    Plant("ratelimit/_core.py", "from uuid import uuid4", "purity: imports uuid uuid4"),
    Plant("ratelimit/_core.py", "import threading", "purity: imports threading"),
    Plant("ratelimit/_core.py", "import pydantic", "purity: imports pydantic"),
    Plant(
        "ratelimit/_core.py",
        "from socialflow_core._kit.clock import unix_us",
        f"purity: imports {NAME}._kit.clock unix_us",
    ),
    Plant("ratelimit/_core.py", "def a(): return datetime.now()", "purity: calls .now()"),
    Plant("ratelimit/_core.py", "def a(): return date.today()", "purity: calls .today()"),
    Plant("ratelimit/_core.py", "def a(): return uuid.uuid1()", "purity: calls .uuid1()"),
    Plant("ratelimit/_core.py", "def a(b=datetime.now): b()", "purity: passes .now on"),
    Plant("ratelimit/_core.py", "def a(): return open('b')", "purity: uses open"),
    Plant("ratelimit/_core.py", "def a(b=print): b()", "purity: uses print"),
    Plant("ratelimit/_core.py", "def a(b): return b.read_text()", "purity: calls .read_text()"),
    Plant("ratelimit/_core.py", "async def a(b): await b", "purity: awaits"),
    Plant("ratelimit/__init__.py", "import logging", "purity: imports logging"),
    Plant("http/_core.py", "import socket", "purity: imports socket"),
    Plant("_kit/flow.py", "import time", "purity: imports time"),
    # Vendors.
    Plant("_kit/clock.py", "import pydantic", "vendors: imports pydantic"),
    Plant("ratelimit/memory.py", "import limits", "vendors: imports limits"),
    Plant("__init__.py", "import pydantic", "vendors: imports pydantic"),
    # Rooms.
    Plant("ratelimit/__init__.py", "from . import memory", "rooms: __init__ imports memory"),
    Plant("ratelimit/_interface.py", "from ._core import a", "rooms: _interface imports _core"),
    Plant("ratelimit/_core.py", "from .memory import a", "rooms: _core imports memory"),
    Plant("ratelimit/_core.py", "from . import Rate", "rooms: _core imports __init__"),
    Plant("ratelimit/acme.py", "from .zeta import a", "rooms: acme imports zeta"),
    Plant("ratelimit/acme.py", f"from {NAME} import ratelimit", "rooms: acme imports __init__"),
    Plant("__init__.py", "from . import ratelimit", "rooms: imports ratelimit"),
    # Composition.
    Plant("ratelimit/acme.py", "def a(): return os.environ['B']", "environment: uses os.environ"),
    Plant("cli/acme.py", "def a(): return os.getenv('B')", "environment: uses os.getenv"),
    Plant("config/_core.py", "from os import environ", "environment: imports environ"),
    Plant("cli/acme.py", "import os as system", "environment: renames os"),
    Plant("ratelimit/acme.py", "Thread(target=print).start()", "composition: works at import"),
    Plant("ratelimit/acme.py", "def a():\n    global b", "composition: changes a global"),
]

MANNERS = [
    Plant("ratelimit/acme.py", "a = 1\n" * 299, "budget: has 301 lines, not 300"),
    Plant(
        "ratelimit/acme.py",
        "def a():\n    " + "b()\n    " * 40,
        "budget: a has 41 lines, not 40",
    ),
    Plant(
        "ratelimit/_interface.py",
        "class Wide(Protocol):\n" + "".join(f"    def a{n}(self): ...\n" for n in range(5)),
        "interfaces: Wide has 5 methods, not 4",
    ),
    Plant("ratelimit/acme.py", "", "exports: has no __all__"),
    Plant("ratelimit/acme.py", "class Oops(CoreError): 'a'", "errors: Oops does not end in Error"),
    Plant("ratelimit/acme.py", "class AError(CoreError): pass", "errors: AError has no docstring"),
    Plant("ratelimit/acme.py", "class AError(OSError): 'a'", "one root: AError is no CoreError"),
    Plant(
        "ratelimit/_interface.py",
        "@dataclass(slots=True)\nclass A: pass",
        "options: A is not frozen",
    ),
    Plant(
        "ratelimit/acme.py",
        "@dataclass(frozen=True)\nclass AcmeOptions: pass",
        "options: AcmeOptions is not frozen and kw_only",
    ),
    Plant("ratelimit/acme.py", "def a(): ...", "finished: a is a stub"),
    Plant("ratelimit/acme.py", "def a(): raise NotImplementedError", "finished: a is a stub"),
    Plant(
        "ratelimit/_interface.py",
        "class AsyncAcme(Protocol): pass",
        "contracts: no AcmeContract in testing",
    ),
]


def told(faults: list[Fault]) -> list[str]:
    """Faults without their lines, which move."""
    return [f"{fault.where}: {fault.rule}: {fault.what}" for fault in faults]


@pytest.mark.parametrize("plant", RULES, ids=lambda plant: plant.caught)
def test_who_knows_whom_is_caught(tmp_path: Path, plant: Plant) -> None:
    """A module that imports or does what it must not is named with what it did."""
    where = "newcomer" if plant.where.startswith("newcomer") else plant.where
    assert f"{where}: {plant.caught}" in told(rules.faults(planted(tmp_path, plant)))


@pytest.mark.parametrize("plant", MANNERS, ids=lambda plant: plant.caught)
def test_bad_manners_are_caught(tmp_path: Path, plant: Plant) -> None:
    """A module that reads badly is named with its fault."""
    assert f"{plant.where}: {plant.caught}" in told(manners.faults(planted(tmp_path, plant)))


def test_a_folder_python_cannot_see_is_caught(tmp_path: Path) -> None:
    """A folder without `__init__.py` would escape import-linter, so it is a fault here."""
    package = planted(tmp_path, Plant("cache/memory.py", "", ""))
    (package / "cache" / "__init__.py").unlink()
    assert "cache: placement: has no __init__.py" in told(rules.faults(package))


def test_a_test_without_promise_is_caught(tmp_path: Path) -> None:
    """A test function without docstring is named."""
    (tmp_path / "test_a.py").write_text("def test_a(): assert 1 == 1\n", "utf-8")
    assert told(manners.faults_outside([tmp_path])) == [
        "test_a.py: promises: test_a promises nothing"
    ]


def lint_imports(package: Path) -> str:
    """What import-linter says about a copy, by the contracts of pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as a; a()"]
    done = subprocess.run(
        [*command, "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=package.parent,
        env={**os.environ, "PYTHONPATH": str(package.parent), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


LAYERS = [
    Plant(
        "ratelimit/acme.py", f"import {NAME}.config", "ratelimit is not allowed to import config"
    ),
    Plant(
        "ratelimit/_core.py",
        f"def a():\n    from {NAME}.wiring import b",
        "ratelimit is not allowed to import wiring",
    ),
    Plant("_kit/clock.py", f"import {NAME}.config", "_kit is not allowed to import config"),
    Plant("http/httpx2.py", f"import {NAME}.config", "http is not allowed to import config"),
    Plant("fallback/_core.py", f"import {NAME}.http", "fallback is not allowed to import http"),
    Plant("newcomer/_core.py", "", "newcomer"),
    Plant("helpers.py", "", "helpers"),
]


def test_import_linter_knows_the_package_as_it_is(tmp_path: Path) -> None:
    """Without a plant the contracts hold, so that what follows is about the plants."""
    assert "0 broken" in lint_imports(planted(tmp_path))


def test_import_linter_catches_every_forbidden_way(tmp_path: Path) -> None:
    """Block to block, upwards, within ground, hidden in a function, unplaced: all in one run."""
    said = lint_imports(planted(tmp_path, *LAYERS))
    wanted = [plant.caught.replace("import ", f"import {NAME}.") for plant in LAYERS]
    assert [each for each in wanted if f"{NAME}.{each}" not in said] == []
    assert "1 broken" in said


def test_neighbours_on_the_ground_may_know_each_other(tmp_path: Path) -> None:
    """What the drawing allows is not forbidden: http and storage, and every block below."""
    said = lint_imports(
        planted(
            tmp_path,
            Plant("http/_core.py", f"import {NAME}.storage", ""),
            Plant("storage/_core.py", f"import {NAME}.http, {NAME}.fallback", ""),
            Plant("ratelimit/acme.py", f"import {NAME}.storage, {NAME}._kit.clock", ""),
        )
    )
    assert "0 broken" in said
