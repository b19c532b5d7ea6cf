"""The tree as it stands keeps every rule, and the table says what import-linter holds."""

import tomllib

from tests.architecture import manners, rules
from tests.architecture.house import BELOW, BLOCKS, FLOORS, GROUND, KIT, NAME, PACKAGE, ROOT, TOP


def test_who_knows_whom() -> None:
    """Placement, purity, vendors, rooms, environment and composition hold everywhere."""
    assert not list(map(str, rules.faults(PACKAGE)))


def test_how_it_reads() -> None:
    """Budgets, interfaces, errors, options and contracts hold everywhere."""
    assert not list(map(str, manners.faults(PACKAGE)))


def test_what_surrounds_it_reads_so_too() -> None:
    """Tests, examples and benchmarks keep the budgets, and every test says its promise."""
    folders = [ROOT / name for name in ("tests", "examples", "benchmarks")]
    assert not list(map(str, manners.faults_outside(folders)))


def test_the_table_is_the_contract() -> None:
    """What these tests read as floors is what import-linter holds as layers."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = [each for each in settings["contracts"] if each["type"] == "layers"]
    assert settings["root_package"] == NAME
    assert contract["containers"] == [NAME]
    assert contract["exhaustive"] is True
    assert "ignore_imports" not in contract
    layers = [_layer(text) for text in contract["layers"]]
    assert layers == [
        (":", frozenset(TOP)),
        ("|", frozenset(BLOCKS)),
        (":", frozenset(GROUND)),
        ("", frozenset({BELOW})),
        ("", frozenset({KIT})),
    ]
    assert [names for _, names in layers] == list(map(frozenset, FLOORS))


def _layer(text: str) -> tuple[str, frozenset[str]]:
    between = next((mark for mark in "|:" if mark in text), "")
    names = text.split(between) if between else [text]
    return between, frozenset(name.strip().strip("()") for name in names)
