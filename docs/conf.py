"""How the documentation is built: offline, from Markdown and docstrings, warnings as errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from socialflow_core import __version__

if TYPE_CHECKING:
    from docutils.nodes import Element, TextElement
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "socialflow_core"
author = "The socialflow_core maintainers"
copyright = author  # noqa: A001 -- Sphinx's name for it
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"socialflow_core {version}"
html_show_sphinx = False

# Docstrings put code between single backticks, as Markdown does.
default_role = "literal"
myst_heading_anchors = 3

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Every method raises", "raises"), ("Both ways to ask raise", "raises")]

# The inventories of other projects lie on the network; what is ours must resolve.
# A type variable has no page.
nitpick_ignore_regex = [("py:.*", r"(?!socialflow_core\b).*"), ("py:class", r".*\.[A-Za-z]+T")]
# Blocks use the same short names (Fault), each for its own; the nearest is meant.
suppress_warnings = ["ref.python"]

_FENCE = re.compile(r"^( *)```(\w*)$")
_PRIVATE = re.compile(r"\._[a-z]\w*(?=\.)")


def fences(lines: list[str]) -> list[str]:
    """Turn the fenced blocks of a docstring into what reStructuredText reads."""
    out: list[str] = []
    inside = ""
    for line in lines:
        fence = _FENCE.match(line)
        if fence and not inside:
            inside = f"{fence[1]}    "
            out += [f"{fence[1]}.. code-block:: {fence[2] or 'text'}", ""]
        elif fence:
            inside = ""
            out.append("")
        else:
            out.append(inside.removesuffix(" " * (len(inside) - 4)) + line if inside else line)
    return out


def on_docstring(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Read a docstring as it is written here."""
    lines[:] = fences(lines)


def on_missing(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: TextElement
) -> Element | None:
    """Lead a reference to `block._interface.X` to `block.X`, where the block shows it."""
    target = _PRIVATE.sub("", node["reftarget"])
    if node.get("refdomain") != "py" or target == node["reftarget"]:
        return None
    return env.domains.python_domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], target, node, content
    )


def setup(app: Sphinx) -> None:
    """Connect the two."""
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("missing-reference", on_missing)
