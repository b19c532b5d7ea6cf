"""`socialflow-core <command>`: one module a command.

A public module of this package is a command. It offers `add(commands)`, which adds its
parsers, and sets as their `run` a function that takes the parsed arguments and answers
the exit code. What it needs beyond the standard library it imports when it runs.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING

from socialflow_core import CoreError, __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """The whole command line, as argparse knows it."""
    root = argparse.ArgumentParser(
        prog="socialflow-core",
        description="Operate a service that is built on socialflow_core.",
        epilog="Exit codes: 0 all is well, 1 something is not, 2 the command line is wrong.",
    )
    root.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = root.add_subparsers(metavar="command", required=True)
    for found in pkgutil.iter_modules(__path__):
        if not found.name.startswith("_"):
            importlib.import_module(f"{__name__}.{found.name}").add(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code."""
    root = parser()
    parsed = root.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except CoreError as error:
        print(f"{root.prog}: {error}", file=sys.stderr)
        return 1
