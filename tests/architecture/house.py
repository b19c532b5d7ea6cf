"""The one table of the house: what stands on which floor, and how its files are read.

Every folder has the same rooms: `__init__` and `_*` are pure, `memory` is the adapter
without dependencies, every other module is an adapter of one vendor. A folder in the
place of a file keeps that file's rules: all of `config/settings/` is one adapter.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import socialflow_core

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "socialflow_core"
PACKAGE = Path(socialflow_core.__file__).parent
ROOT = Path(__file__).parents[2]

TOP = ("cli", "wiring", "testing")
BLOCKS = (
    *("alerts", "auth", "backup", "billing", "cache", "config", "events", "health", "jobs"),
    *("lifecycle", "locks", "logs", "media", "platforms", "ratelimit", "retention", "search"),
    *("tracing", "translation", "tts", "webhooks"),
)
GROUND = ("http", "redislink", "schedule", "storage")
BELOW = "fallback"
KIT = "_kit"

# From the top down. In the second, nobody knows a neighbour; in the others one may.
FLOORS = (TOP, BLOCKS, GROUND, (BELOW,), (KIT,))
ROOMED = frozenset({*BLOCKS, *GROUND, BELOW})
PURE_KIT = frozenset({"errors", "flow", "grammar", "secrets"})
ENVIRONMENT = "config.settings"  # the one place that reads it


class Fault(NamedTuple):
    """One place that breaks one rule."""

    rule: str
    where: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.rule}: {self.what}"


class Import(NamedTuple):
    """One imported module, in full: "os.path", or "ratelimit._core" for one of ours."""

    target: str
    ours: bool
    line: int
    name: str = ""

    def within(self, module: str) -> bool:
        """Whether it is *module*, one of ours, or part of it."""
        return self.ours and (self.target == module or self.target.startswith(f"{module}."))


@dataclass(frozen=True)
class Module:
    """A file of a package, parsed."""

    path: Path
    package: Path

    @cached_property
    def source(self) -> str:
        """Its text."""
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Everything in it."""
        return list(ast.walk(self.tree))

    @cached_property
    def where(self) -> str:
        """Its path inside the package."""
        return self.path.relative_to(self.package).as_posix()

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Its name without the package's: "ratelimit", "_core"; a package ends in "__init__"."""
        return self.path.relative_to(self.package).with_suffix("").parts

    @property
    def folder(self) -> str:
        """The block, or other folder, that it belongs to; empty for the package itself."""
        return self.parts[0] if len(self.parts) > 1 else ""

    @property
    def room(self) -> str:
        """The file, or folder in the place of a file, inside the block: "_core", "redis"."""
        return self.parts[1] if len(self.parts) > 1 else self.parts[0]

    @property
    def is_pure(self) -> bool:
        """Whether nothing but values may go in and out."""
        if self.folder == KIT:
            return self.room in PURE_KIT
        return self.folder in ROOMED and self.room.startswith("_")

    @property
    def is_adapter(self) -> bool:
        """Whether it ties a block to something outside."""
        return self.folder in ROOMED and not self.room.startswith("_")

    @property
    def may_know_vendors(self) -> bool:
        """Whether it may import what is neither ours nor the standard library's."""
        return self.folder in TOP or (self.is_adapter and self.room != "memory")

    def fault(self, rule: str, line: int, what: str) -> Fault:
        """A fault of this file."""
        return Fault(rule, self.where, line, what)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """All that it imports, also inside functions and for types alone."""
        return tuple(self._imports())

    def _imports(self) -> Iterator[Import]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield self._resolved(alias.name, "", node.lineno)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = [NAME, *self.parts[: len(self.parts) - node.level]]
                    base = ".".join([*above, base] if base else above)
                for alias in node.names:
                    yield self._resolved(base, alias.name, node.lineno)

    def _resolved(self, base: str, name: str, line: int) -> Import:
        if base != NAME and not base.startswith(f"{NAME}."):
            return Import(base, ours=False, line=line, name=name)
        inside = base[len(NAME) + 1 :]
        dotted = f"{inside}.{name}".strip(".")
        # `from .block import thing` names a module or something inside one.
        path = self.package / dotted.replace(".", "/")
        is_module = bool(name) and (path.is_dir() or path.with_suffix(".py").is_file())
        return Import(dotted if is_module else inside, ours=True, line=line, name=name)


def modules(package: Path) -> list[Module]:
    """Every module of the package that lies at *package*."""
    return [Module(path, package) for path in sorted(package.rglob("*.py"))]
