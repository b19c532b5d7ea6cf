"""What CI prints last, and whether it failed: `.ci/run` with stand-ins for nox and pip."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.architecture.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MAIN = "================== 812 passed, 3 deselected in 75.20s (0:01:15) =================="
LATER = "============================== 9 passed in 1.00s =============================="
NOX = """#!/bin/sh
test "$2" = {fails} && exit 1
test "$2" = tests && echo '{main}' && echo '{later}'
test "$2" = faults && echo '{later}'
exit 0
"""


def ci_run(folder: Path, *, fails: str = "nothing", pip: str = "exit 0") -> tuple[int, list[str]]:
    """The exit code and the lines of a run in which one session *fails*."""
    programs = {
        ".venv/bin/nox": NOX.format(fails=fails, main=MAIN, later=LATER),
        ".venv/bin/pip": f"#!/bin/sh\n{pip}\n",
        "bin/python3": "#!/bin/sh\n",
    }
    for name, text in programs.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o755)
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci")
    done = subprocess.run(
        ["bash", folder / ".ci" / "run"],
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "CI": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def test_the_last_line_is_the_main_runs_summary(tmp_path: Path) -> None:
    """Sessions after the main run close too; the line of the main run comes last all the same."""
    code, lines = ci_run(tmp_path)
    assert (code, lines[-1]) == (0, MAIN)
    assert lines[:-1] == [MAIN, LATER, LATER]


@pytest.mark.parametrize("session", ["tests", "faults"])
def test_a_failed_session_fails_the_run(tmp_path: Path, session: str) -> None:
    """Whichever session fails, the other one still runs and the exit code is not 0."""
    code, lines = ci_run(tmp_path, fails=session)
    assert code == 1
    assert LATER in lines


def test_a_failed_set_up_fails_the_run(tmp_path: Path) -> None:
    """Where nox cannot be installed, nothing has passed."""
    assert ci_run(tmp_path, pip="exit 1")[0] == 1
