"""What is written from the schema: `.env.example` and the reference for the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ._interface import Variable

__all__ = ["example", "table"]

_EXAMPLE_HEAD = """\
# The environment of the service; written by `socialflow-core config example`.
# Copy it to .env and go through the values that are set: they are placeholders, and
# production refuses them. A line that is commented out shows the default, if there is one."""

_TABLE_HEAD = """\
# Environment variables

Written by `socialflow-core config table`; a test holds it equal to the schema.

- A variable that is empty is unset. White space around a value is dropped.
- Durations: `15m`, `7d`, `30s`, `500ms`, `1h30m` or plain seconds.
- Lists: separated by commas, or JSON. Booleans: true/false, 1/0, yes/no, on/off, in any case.
- The environment wins over `.env`, that over the secrets directory, and that over the default."""


def example(groups: Mapping[str, Iterable[Variable]], *, prefix: str = "") -> str:
    """The text of `.env.example` for these *groups*."""
    parts = [_EXAMPLE_HEAD]
    for group, variables in groups.items():
        parts.append(f"# --- {group} ---")
        parts.extend("\n".join(_example_of(variable, prefix)) for variable in variables)
    return "\n\n".join(parts) + "\n"


def _example_of(variable: Variable, prefix: str) -> Iterator[str]:
    yield f"# {variable.about}"
    notes = [variable.kind]
    if variable.needed:
        notes.append("needed" if variable.needed == "yes" else f"needed {variable.needed}")
    if variable.alias:
        notes.append(f"alias {prefix}{variable.alias}")
    if variable.default and not variable.literal:
        notes.append(f"default: {variable.default}")
    yield f"# ({'; '.join(notes)})"
    if variable.placeholder:
        yield f"{prefix}{variable.name}={variable.placeholder}"
    else:
        yield f"# {prefix}{variable.name}={variable.default if variable.literal else ''}"


def table(groups: Mapping[str, Iterable[Variable]], *, prefix: str = "") -> str:
    """The reference page for these *groups*, in Markdown."""
    parts = [_TABLE_HEAD]
    for group, variables in groups.items():
        rows = "\n".join(_row(variable, prefix) for variable in variables)
        head = "| variable | holds | default | needed | meaning |\n|---|---|---|---|---|"
        parts.append(f"## {group}\n\n{head}\n{rows}")
    return "\n\n".join(parts) + "\n"


def _row(variable: Variable, prefix: str) -> str:
    name = f"`{prefix}{variable.name}`"
    if variable.alias:
        name += f" (alias `{prefix}{variable.alias}`)"
    default = f"`{variable.default}`" if variable.default and variable.literal else variable.default
    cells = [name, variable.kind, default, variable.needed, variable.about]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') or '-' for cell in cells)} |"
