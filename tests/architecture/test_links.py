"""Links between the project's own texts lead somewhere; Sphinx holds those inside docs/."""

import re

from tests.architecture.house import ROOT

_LINK = re.compile(r"\]\(([^)#:]+)[^):]*\)")


def test_every_relative_link_leads_somewhere() -> None:
    """README, CONTRIBUTING and the like name files and folders that are there."""
    linked = {
        (path.name, target)
        for path in ROOT.glob("*.md")
        for target in _LINK.findall(path.read_text("utf-8"))
    }
    assert ("README.md", "SECURITY.md") in linked
    assert [link for link in sorted(linked) if not (ROOT / link[1]).exists()] == []
