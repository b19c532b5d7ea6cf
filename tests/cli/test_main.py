"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from socialflow_core import __version__, cli

WITHOUT_PYDANTIC = """
import sys
sys.modules["pydantic"] = None
from socialflow_core import cli
sys.exit(cli.main(["config", "check"]))
"""


def test_a_missing_extra_is_one_line_that_cures_it() -> None:
    """No traceback: exit code 1, and the command that installs what is missing."""
    command = [sys.executable, "-c", WITHOUT_PYDANTIC]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        'socialflow-core: This needs an extra: pip install "socialflow-core[config]"\n'
    )


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    """There is one place that says it."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"socialflow-core {__version__}\n"


def test_a_wrong_command_line_is_told_apart() -> None:
    """Exit code 2, as argparse has it."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["no-such-command"])
    assert ended.value.code == 2
