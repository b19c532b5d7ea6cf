"""The rules about who knows whom, each a function from a module to its faults.

1. Layers: import-linter holds them; here only that every folder is placed.
2. Purity: what decides takes values and answers values.
3. Alone: only an adapter knows a vendor (and `test_alone` tries it).
4. Rooms: who may import whom inside a block.
5. Composition: only `config.settings` reads the environment; nothing works at import.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from tests.architecture import house
from tests.architecture.house import ENVIRONMENT, FLOORS, KIT, NAME, PURE_KIT, ROOMED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.architecture.house import Fault, Import, Module

# The standard library without clocks, chance, threads and I/O. Of `datetime` and `uuid`
# the impure part is forbidden below; of `pathlib` only the Pure classes are allowed.
PURE_LIBRARY = frozenset(
    {
        *("__future__", "abc", "array", "base64", "binascii", "bisect", "calendar", "codecs"),
        *("collections", "collections.abc", "contextlib", "copy", "csv", "dataclasses"),
        *("datetime", "decimal", "difflib", "email.utils", "enum", "fractions", "functools"),
        *("hashlib", "heapq", "hmac", "html", "ipaddress", "itertools", "json", "keyword"),
        *("math", "numbers", "operator", "pathlib", "posixpath", "re", "reprlib", "statistics"),
        *("string", "struct", "textwrap", "types", "typing", "unicodedata", "urllib.parse"),
        *("uuid", "zlib"),
    }
)
_PURE_PATHS = frozenset({"PurePath", "PurePosixPath", "PureWindowsPath"})
_IMPURE_NAMES = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})
_IMPURE_CALLS = frozenset(
    {
        *("now", "today", "utcnow", "uuid1", "uuid4"),
        *("open", "read_bytes", "read_text", "write_bytes", "write_text", "mkdir", "unlink"),
    }
)


def placement(package: Path) -> Iterator[Fault]:
    """Rule 1: every folder stands on a floor, and is a package that import-linter can see."""
    placed = {name for floor in FLOORS for name in floor}
    for path in sorted(package.glob("*.py")):
        if path.name != "__init__.py":
            yield house.Fault("placement", path.name, 1, "stands beside the floors")
    folders = {path.parent for path in package.rglob("*.py")} - {package}
    for folder in sorted(folders):
        where = folder.relative_to(package)
        if where.parts[0] not in placed:
            yield house.Fault("placement", where.as_posix(), 1, "stands on no floor")
        if not (folder / "__init__.py").is_file():
            yield house.Fault("placement", where.as_posix(), 1, "has no __init__.py")


def purity(module: Module) -> Iterator[Fault]:
    """Rule 2: a pure module imports only what is pure, and calls nothing that is not."""
    if not module.is_pure:
        return
    for found in module.imports:
        if not _is_pure_import(found):
            what = f"{NAME}.{found.target}".strip(".") if found.ours else found.target
            yield module.fault("purity", found.line, f"imports {what} {found.name}".strip())
    for node in module.nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in _IMPURE_NAMES:
                yield module.fault("purity", node.lineno, f"uses {name}")
            case ast.Call(func=ast.Attribute(attr=name)) if name in _IMPURE_CALLS:
                yield module.fault("purity", node.lineno, f"calls .{name}()")
            case ast.Attribute(value=ast.Name(id="date" | "datetime" | "uuid"), attr=name) if (
                name in _IMPURE_CALLS
            ):
                yield module.fault("purity", node.lineno, f"passes .{name} on")
            case ast.Await() if module.folder != KIT:
                yield module.fault("purity", node.lineno, "awaits")
            case _:
                pass


def _is_pure_import(found: Import) -> bool:
    if not found.ours:
        if found.target == "uuid" and found.name in _IMPURE_CALLS:
            return False
        if found.target == "pathlib" and found.name not in _PURE_PATHS:
            return False
        return found.target in PURE_LIBRARY or f"{found.target}.{found.name}" in PURE_LIBRARY
    folder, _, rest = found.target.partition(".")
    if folder == KIT:
        return rest in PURE_KIT
    # A block's `__init__` shows its pure side only. Which block, is for the layers to say.
    return folder in ROOMED and (not rest or rest.startswith("_"))


def vendors(module: Module) -> Iterator[Fault]:
    """Rule 3: whatever is not an adapter of a vendor runs on Python alone."""
    if module.may_know_vendors:
        return
    for found in module.imports:
        if not found.ours and found.target.partition(".")[0] not in sys.stdlib_module_names:
            yield module.fault("vendors", found.line, f"imports {found.target}")


def rooms(module: Module) -> Iterator[Fault]:
    """Rule 4: inside a block, decisions do not know adapters, nor one adapter another."""
    if module.folder == "" and module.room == "__init__":
        for found in module.imports:
            if found.ours and not found.within(KIT):
                yield module.fault("rooms", found.line, f"imports {found.target}")
    if module.folder not in ROOMED:
        return
    for found in module.imports:
        if not found.within(module.folder):
            continue
        room = [*found.target.split("."), "__init__"][1]
        if not _may_enter(module.room, room):
            yield module.fault("rooms", found.line, f"{module.room} imports {room}")


def _may_enter(room: str, other: str) -> bool:
    if other == "__init__":
        return False  # it gathers what the rooms define
    if room == "_interface":
        return False
    if other.startswith("_"):
        return True
    if room.startswith("_"):
        return False
    return other in {room, "memory"}


def environment(module: Module) -> Iterator[Fault]:
    """Rule 5: only `config.settings` reads the environment."""
    if ".".join(module.parts).startswith(f"{ENVIRONMENT}."):
        return
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    for node in module.nodes:
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in names:
                yield module.fault("environment", node.lineno, f"uses os.{name}")
            case ast.ImportFrom(module="os", names=imported):
                for alias in imported:
                    if alias.name in names:
                        yield module.fault("environment", node.lineno, f"imports {alias.name}")
            case ast.Import(names=[ast.alias(name="os", asname=str())]):
                yield module.fault("environment", node.lineno, "renames os")
            case _:
                pass


def composition(module: Module) -> Iterator[Fault]:
    """Rule 5: nothing works at import, and a block changes no global."""
    if module.parts[-1] != "__main__":
        for statement in module.tree.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                yield module.fault("composition", statement.lineno, "works at import")
    if module.folder in ROOMED:
        for node in module.nodes:
            if isinstance(node, ast.Global):
                yield module.fault("composition", node.lineno, "changes a global")


RULES = (purity, vendors, rooms, environment, composition)


def faults(package: Path) -> list[Fault]:
    """Every fault of the package at *package*, by every rule of this file."""
    found = list(placement(package))
    for module in house.modules(package):
        for rule in RULES:
            found.extend(rule(module))
    return found
