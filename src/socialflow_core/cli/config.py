"""`socialflow-core config`: check the environment, write `.env.example` and the reference."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socialflow_core.config import (
    ConfigError,
    example,
    pool_advice,
    pool_cautions,
    report,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from socialflow_core.config.settings import Settings

__all__ = ["add"]

_EXAMPLES = """\
examples:
  socialflow-core config check
  socialflow-core config check --groups database,backup --env-file staging.env
  socialflow-core config check --instances 4 --max-connections 100
  socialflow-core config check --json
  socialflow-core config example --output .env.example
  socialflow-core config table --groups redis
"""
_MOST_DIGITS = 7


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `config check`, `config example` and `config table`."""
    config = _parser(commands, "config", "check the environment, or write down its schema")
    actions = config.add_subparsers(metavar="action", required=True)
    _add_check(_parser(actions, "check", "validate the environment: every fault in one list"))
    _add_writer(_parser(actions, "example", "write .env.example"), example)
    _add_writer(_parser(actions, "table", "write the reference of all variables"), table)


def _parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_groups(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--groups", metavar="A,B", help="these groups only; default: all")
    parser.add_argument("--prefix", default="", help="what stands in front of every name")
    parser.set_defaults(parser=parser)


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_groups(parser)
    parser.add_argument("--env-file", metavar="FILE", default=".env", help="default: %(default)s")
    parser.add_argument("--secrets-dir", metavar="DIR", help="a directory with a file a variable")
    parser.add_argument("--instances", metavar="N", type=_count, help="processes that will run")
    parser.add_argument(
        "--max-connections", metavar="M", type=_count, help="what PostgreSQL allows in all"
    )
    parser.add_argument(
        "--cores", type=_count, default=os.cpu_count() or 1, help="default: %(default)s, as here"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.set_defaults(run=_check)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text)):
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return int(text)


def _groups(arguments: argparse.Namespace) -> list[str] | None:
    """The groups that were asked for; ends the program if there is none of such a name."""
    if arguments.groups is None:
        return None
    from socialflow_core.config.settings import GROUPS  # noqa: PLC0415 -- loads pydantic

    names = [name.strip() for name in arguments.groups.split(",")]
    if not set(names) <= GROUPS.keys():
        arguments.parser.error(f"argument --groups: there are {', '.join(GROUPS)}")
    return names


def _check(arguments: argparse.Namespace) -> int:
    if (arguments.instances is None) != (arguments.max_connections is None):
        arguments.parser.error("--instances and --max-connections go together")
    from socialflow_core.config.settings import load  # noqa: PLC0415 -- loads pydantic

    found: Settings | ConfigError
    try:
        found = load(
            _groups(arguments),
            env_file=arguments.env_file,
            secrets_dir=arguments.secrets_dir,
            prefix=arguments.prefix,
        )
    except ConfigError as error:
        found = error
    if arguments.json:
        print(json.dumps(_outcome(found, arguments), indent=2))
    else:
        _tell(found, arguments)
    return 1 if isinstance(found, ConfigError) else 0


def _tell(found: Settings | ConfigError, arguments: argparse.Namespace) -> None:
    """What is wrong goes to stderr, the rest to stdout."""
    outcome = _outcome(found, arguments)
    if isinstance(found, ConfigError):
        print(found, file=sys.stderr)
    if warnings := outcome["warnings"]:
        print(
            report("Environment warnings:", (each["message"] for each in warnings)), file=sys.stderr
        )
    if not isinstance(found, ConfigError):
        print(f"The environment is valid: {', '.join(found.groups)}.")
        if "database" in found.groups:
            print(pool_advice(found.database.pool.options, cores=arguments.cores))


def _outcome(found: Settings | ConfigError, arguments: argparse.Namespace) -> dict[str, Any]:
    warnings = list(found.warnings)
    outcome: dict[str, Any] = {"valid": True, "groups": [], "faults": [], "pool": None}
    if isinstance(found, ConfigError):
        faults = [{"variable": each.variable, "reason": each.reason} for each in found.faults]
        outcome |= {"valid": False, "faults": faults}
    else:
        outcome["groups"] = list(found.groups)
        if "database" in found.groups:
            pool = found.database.pool.options
            warnings += pool_cautions(
                pool,
                cores=arguments.cores,
                instances=arguments.instances,
                max_connections=arguments.max_connections,
                variable=f"{arguments.prefix}DB_CONNECTION_LIMIT",
            )
            outcome["pool"] = {
                "limit": pool.limit,
                "timeout_seconds": pool.timeout.total_seconds(),
                "prepared_statements": pool.prepared_statements,
            }
    outcome["warnings"] = [{"variable": w.variable, "message": w.message} for w in warnings]
    return outcome


def _add_writer(parser: argparse.ArgumentParser, write: Callable[..., str]) -> None:
    _add_groups(parser)
    parser.add_argument("--output", metavar="FILE", type=Path, help="default: stdout")
    parser.set_defaults(run=_write, write=write)


def _write(arguments: argparse.Namespace) -> int:
    from socialflow_core.config.settings import schema  # noqa: PLC0415 -- loads pydantic

    text = arguments.write(schema(_groups(arguments)), prefix=arguments.prefix)
    if arguments.output is None:
        print(text, end="")
        return 0
    try:
        arguments.output.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        print(f"{arguments.output} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0
