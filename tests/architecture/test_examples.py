"""Examples in documents cannot lie: the conftest that runs them catches each kind of lie."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.house import ROOT

PRINTS = "```python\nprint(1 + 1)\n```\n\n```text\n{}\n```\n"
TRUE = PRINTS.format(2) + "\n```python\na = 3\n```\n\n>>> a\n3\n"
LIES = {
    "output.md": PRINTS.format(3),
    "assertion.md": "```python\nassert 1 == 2\n```\n",
    "import.md": "```python\nimport no_such_module\n```\n",
    "doctest.md": ">>> 1 + 1\n3\n",
}


def run_examples(folder: Path, documents: dict[str, str]) -> str:
    """What pytest says of *documents*."""
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (folder / "docs").mkdir()
    for name, text in documents.items():
        (folder / "docs" / name).write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rf", "docs"],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_true_examples_pass(tmp_path: Path) -> None:
    """Code, what it prints, doctests, and names defined by an earlier example."""
    assert "= 4 passed" in run_examples(tmp_path, {"true.md": TRUE})


def test_every_lie_is_caught(tmp_path: Path) -> None:
    """A wrong output, a false assertion, a missing module, a wrong doctest."""
    told = run_examples(tmp_path, LIES)
    assert [name for name in LIES if f"FAILED docs/{name}:" not in told] == []
