"""Every example in README.md, in docs/ and in the docstrings of src/ is run as a test.

A document is read from its beginning to its end, in one namespace. Where a `text` block
follows a `python` block, it is what the latter prints.
"""

from contextlib import redirect_stdout
from io import StringIO

from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection
from sybil.typing import Parser

_run = PythonEvaluator()


def _evaluate(example: Example) -> None:
    with redirect_stdout(StringIO()) as printed:
        _run(example)
    example.namespace["_printed"] = (example.end, printed.getvalue())


def _compare(example: Example) -> str | None:
    end, printed = example.namespace.get("_printed", (0, ""))
    if example.document.text[end : example.start].strip():
        return None  # something else stands between: it is another program's output
    return None if printed == example.parsed else f"It prints:\n{printed}"


_parsers: list[Parser] = [
    DocTestParser(),
    CodeBlockParser("python", _evaluate),
    CodeBlockParser("text", _compare),
]

pytest_collect_file = SybilCollection(
    (
        Sybil(_parsers, filenames=["README.md"]),
        Sybil(_parsers, path="docs", patterns=["*.md"]),
        Sybil(_parsers, path="src", patterns=["*.py"]),
    )
).pytest()
