"""The package as a user gets it: out of a wheel, without the source tree beside it."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.architecture.house import NAME, PACKAGE, ROOT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from this tree, offline."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs, and nothing else.

    Where the suite runs against an installed wheel, there is no source to build one from.
    """
    folder = tmp_path_factory.mktemp("site")
    if PACKAGE.is_relative_to(ROOT / "src"):
        with zipfile.ZipFile(request.getfixturevalue("wheel")) as archive:
            archive.extractall(folder)
    else:
        shutil.copytree(PACKAGE, folder / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
