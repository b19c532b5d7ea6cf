"""What is shipped: the package, its types and its licence, and no more."""

import zipfile
from pathlib import Path

import pytest

from socialflow_core import __version__
from tests.architecture.house import NAME, PACKAGE, ROOT

in_source_tree = pytest.mark.skipif(
    not PACKAGE.is_relative_to(ROOT / "src"), reason="there is no source to build a wheel from"
)


@in_source_tree
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """No tests, caches or stray files: exactly what lies in src, and the metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"{NAME}-{__version__}.dist-info"
    shipped = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert f"{NAME}/py.typed" in shipped
    assert {name for name in names if not name.startswith(f"{info}/")} == shipped
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= names
