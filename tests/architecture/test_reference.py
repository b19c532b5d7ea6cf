"""The reference names every public module, by its public name."""

import re

from tests.architecture import house
from tests.architecture.house import NAME, PACKAGE, ROOT

_DIRECTIVE = re.compile(r"^\.\. automodule:: ([\w.]+)", re.MULTILINE)


def public_modules() -> set[str]:
    """Blocks and their adapters; `cli` and `wiring` are used as a whole."""
    found = set()
    for module in house.modules(PACKAGE):
        parts = [part for part in module.parts if part != "__init__"]
        depth = 1 if module.folder in {"cli", "wiring"} else 2
        if len(parts) <= depth and not any(part.startswith("_") for part in parts):
            found.add(".".join([NAME, *parts]))
    return found


def test_every_public_module_has_its_place() -> None:
    """Nothing that can be imported is missing from the reference."""
    pages = [path.read_text("utf-8") for path in (ROOT / "docs" / "reference").rglob("*.md")]
    assert public_modules() - set(_DIRECTIVE.findall("\n".join(pages))) == set()
