"""The rules about how a module reads, each a function from a module to its faults.

What ruff holds is not repeated here: the order of `__all__`, docstrings of public names,
notes of what is left to do.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture import house
from tests.architecture.house import ROOMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.architecture.house import Fault, Module

MOST_LINES = 300
MOST_FUNCTION_LINES = 40
MOST_METHODS = 4


def budget(module: Module) -> Iterator[Fault]:
    """A file and a function fit on what one reads at once; a docstring is not counted."""
    lines = len(module.source.splitlines())
    if lines > MOST_LINES:
        yield module.fault("budget", lines, f"has {lines} lines, not {MOST_LINES}")
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = _length(node)
            if length > MOST_FUNCTION_LINES:
                what = f"{node.name} has {length} lines, not {MOST_FUNCTION_LINES}"
                yield module.fault("budget", node.lineno, what)


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        length -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return length


def interfaces(module: Module) -> Iterator[Fault]:
    """A protocol has one to four methods of its own; a wide one joins narrow ones."""
    for node in _classes(module):
        if _is_protocol(node):
            methods = sum(
                isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in node.body
            )
            if methods > MOST_METHODS:
                what = f"{node.name} has {methods} methods, not {MOST_METHODS}"
                yield module.fault("interfaces", node.lineno, what)


def exports(module: Module) -> Iterator[Fault]:
    """Every module says what of it is public."""
    if module.parts[-1] == "__main__" or module.where == "_kit/__init__.py":
        return  # the one is run, the other only holds its modules together
    assigned = (node for node in module.tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
    if not any(ast.unparse(node).startswith("__all__") for node in assigned):
        yield module.fault("exports", 1, "has no __all__")


def errors(module: Module) -> Iterator[Fault]:
    """What can be raised ends in Error and says when."""
    for node in _classes(module):
        if any(_is_error(base) for base in _bases(node)):
            if not node.name.endswith("Error"):
                yield module.fault("errors", node.lineno, f"{node.name} does not end in Error")
            if ast.get_docstring(node) is None:
                yield module.fault("errors", node.lineno, f"{node.name} has no docstring")


def one_root(package: list[Module]) -> Iterator[Fault]:
    """Every error of ours is a `CoreError`, or a `ValueError` that a block turns into one."""
    bases = {node.name: _bases(node) for module in package for node in _classes(module)}

    def roots(name: str) -> set[str]:
        above = bases.get(name, [])
        return {name}.union(*map(roots, above)) if above else {name}

    for module in package:
        for node in _classes(module):
            if node.name == "CoreError" or not any(_is_error(base) for base in _bases(node)):
                continue
            if roots(node.name).isdisjoint({"CoreError", "ValueError"}):
                yield module.fault("one root", node.lineno, f"{node.name} is no CoreError")


def options(module: Module) -> Iterator[Fault]:
    """Values of an interface do not change, and options are named by whoever gives them."""
    if module.folder not in ROOMED:
        return
    for node in _classes(module):
        given = _dataclass_arguments(node)
        if given is None:
            continue
        if module.room == "_interface" and "frozen" not in given:
            yield module.fault("options", node.lineno, f"{node.name} is not frozen")
        if node.name.endswith("Options") and not {"frozen", "kw_only"} <= given:
            yield module.fault("options", node.lineno, f"{node.name} is not frozen and kw_only")


def finished(module: Module) -> Iterator[Fault]:
    """No function is a stub; only a protocol, or an overload, is without a body."""
    declared = {each for node in _classes(module) if _is_protocol(node) for each in node.body}
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node not in declared:
            decorators = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
            if _is_empty(node) and decorators.isdisjoint({"overload", "abstractmethod"}):
                yield module.fault("finished", node.lineno, f"{node.name} is a stub")


def _is_empty(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if len(body) != 1:
        return False
    match body[0]:
        case ast.Expr(value=ast.Constant(value=value)):
            return value is Ellipsis
        case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
            return name == "NotImplementedError"
        case _:
            return False


def promises(module: Module) -> Iterator[Fault]:
    """A test's docstring is the promise that it checks."""
    for node in module.nodes:
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and ast.get_docstring(node) is None
        ):
            yield module.fault("promises", node.lineno, f"{node.name} promises nothing")


def contracts(package: list[Module]) -> Iterator[Fault]:
    """Every protocol of a block has its suite in `testing`, so that users can run it on theirs."""
    suites = {
        node.name for module in package if module.folder == "testing" for node in _classes(module)
    }
    for module in package:
        if module.folder in ROOMED and module.room == "_interface":
            for node in _classes(module):
                name = node.name.removeprefix("Async")
                if _is_protocol(node) and f"{name}Contract" not in suites:
                    yield module.fault("contracts", node.lineno, f"no {name}Contract in testing")


def _classes(module: Module) -> Iterator[ast.ClassDef]:
    return (node for node in module.nodes if isinstance(node, ast.ClassDef))


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]


def _is_protocol(node: ast.ClassDef) -> bool:
    # asyncio has a Protocol, too: there it is a base class for those who hear a transport.
    return any(ast.unparse(base) in {"Protocol", "typing.Protocol"} for base in node.bases)


def _is_error(base: str) -> bool:
    return base.endswith(("Error", "Exception"))


def _dataclass_arguments(node: ast.ClassDef) -> set[str] | None:
    """The arguments of its `@dataclass` that are True; None if it is none."""
    for each in node.decorator_list:
        match each:
            case ast.Name(id="dataclass"):
                return set()
            case ast.Call(func=ast.Name(id="dataclass"), keywords=given):
                return {str(k.arg) for k in given if ast.unparse(k.value) == "True"}
            case _:
                pass
    return None


ANYWHERE = (budget, finished)
IN_PACKAGE = (*ANYWHERE, interfaces, exports, errors, options)


def faults(package: Path) -> list[Fault]:
    """Every fault of the package at *package*, by every rule of this file."""
    found = house.modules(package)
    return [
        *(fault for module in found for rule in IN_PACKAGE for fault in rule(module)),
        *one_root(found),
        *contracts(found),
    ]


def faults_outside(folders: Iterable[Path]) -> list[Fault]:
    """Every fault of tests, examples and scripts."""
    found = [module for folder in folders for module in house.modules(folder)]
    return [fault for module in found for rule in (*ANYWHERE, promises) for fault in rule(module)]
