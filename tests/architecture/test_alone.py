"""Rule 3: each block is imported alone, needs only Python, and does nothing by that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.architecture import house
from tests.architecture.house import KIT, NAME, PACKAGE, ROOMED

if TYPE_CHECKING:
    from pathlib import Path

# Imports a module and tells which others that brought, and what it did meanwhile.
_PROBE = """
import importlib, json, sys, threading
did = []
WORK = {"os.exec", "os.fork", "os.posix_spawn", "os.putenv", "os.system", "socket.bind",
    "socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen"}
threading.Thread.start = lambda thread: did.append("thread")
def hook(event, arguments):
    if event in WORK:
        did.append(event)
    if event == "open" and not str(arguments[0]).endswith((".py", ".pyc")):
        did.append(f"open {arguments[0]}")
before = set(sys.modules)
sys.addaudithook(hook)
importlib.import_module(sys.argv[1])
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([sorted(new - sys.stdlib_module_names), sys.modules[sys.argv[1]].__file__, did]))
"""

# All that may know no vendor, and the folders of the top floor, which meet theirs on use.
ALONE = sorted(
    {
        ".".join([NAME, *module.parts]).removesuffix(".__init__")
        for module in house.modules(PACKAGE)
        if (module.folder in {"", KIT} and module.parts[-1] != "__main__")
        or (module.folder in ROOMED and module.room in {"__init__", "memory"})
        or module.parts in {("cli", "__init__"), ("wiring", "__init__")}
    }
)


def probe(name: str, site: Path, *options: str) -> tuple[list[str], str, list[str]]:
    """Import *name* from *site* in a fresh interpreter: packages it brought, its file, its work."""
    # Coverage would begin in there too, and count a copy as code without tests.
    unmeasured = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-B", *options, "-c", _PROBE, name],
        cwd=site,
        env={**unmeasured, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    brought, file, did = json.loads(done.stdout)
    return brought, file, did


@pytest.mark.parametrize("options", [["-S"], []], ids=["bare Python", "everything installed"])
@pytest.mark.parametrize("name", ALONE)
def test_importing_brings_only_python_and_us(name: str, options: list[str], site: Path) -> None:
    """No package but the standard library's and ours is loaded, and nothing is begun."""
    brought, file, did = probe(name, site, *options)
    assert brought == [NAME]
    assert file.startswith(str(site))
    assert did == []


def test_every_kind_of_module_was_tried() -> None:
    """The list above is made by a rule, which should find what is known to be there."""
    assert {NAME, f"{NAME}._kit.flow", f"{NAME}.ratelimit", f"{NAME}.config"} <= set(ALONE)
    assert f"{NAME}.ratelimit.memory" in ALONE


@pytest.mark.parametrize(
    ("code", "brought", "did"),
    [
        ("import pytest", "pytest", ""),
        ("import threading; threading.Thread(target=print).start()", "", "thread"),
        ("import os; open(os.devnull).close()", "", f"open {os.devnull}"),
        (
            "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])",
            "",
            "subprocess.Popen",
        ),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "", "socket.bind"),
    ],
)
def test_what_is_planted_is_caught(
    code: str, brought: str, did: str, site: Path, tmp_path: Path
) -> None:
    """A vendor that slips in, a thread, a file, a process, a socket: the probe tells each."""
    shutil.copytree(site / NAME, tmp_path / NAME)
    with (tmp_path / NAME / "ratelimit" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{code}\n")
    packages, _, work = probe(f"{NAME}.ratelimit", tmp_path)
    assert not brought or brought in packages
    assert not did or did in work
