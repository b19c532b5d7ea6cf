"""From texts to groups, with every fault on the way.

pydantic stops where one kind of fault ends: at a list that cannot be read, then at fields,
and rules see nothing unless all fields are valid. Its errors hold the values. So each
field is read by itself, rules run on what is valid, and pydantic gets what is left: values.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.grammar import GrammarError
from socialflow_core.config._interface import Caution, Fault
from socialflow_core.config._names import nearest
from socialflow_core.config._texts import as_text

from ._fields import By, describe, kind_of
from ._group import Group
from ._rules import Finding, findings
from ._sources import Variables

with requires_extra("config"):
    from pydantic.fields import FieldInfo

__all__ = ["Reading", "fields_of", "read"]

FoundT = TypeVar("FoundT", Fault, Caution)

MISSING = "required, missing"


class Reading(NamedTuple):
    """What came out: the groups, unless there are faults."""

    groups: dict[str, Group]
    faults: tuple[Fault, ...]
    cautions: tuple[Caution, ...]


def fields_of(groups: Mapping[str, type[Group]]) -> dict[str, FieldInfo]:
    """The fields of these groups in schema order; the environment comes first, once."""
    fields = {"app_env": Group.model_fields["app_env"]}
    for group in groups.values():
        fields |= group.model_fields
    return fields


def read(
    groups: Mapping[str, type[Group]],
    source: Variables,
    *,
    elsewhere: Iterable[str],
    faults: Iterable[Fault] = (),
) -> Reading:
    """Read *groups* from *source*.

    Args:
        groups: By name, in schema order.
        source: The texts.
        elsewhere: Names of other variables: known, although not looked at.
        faults: What was found wrong with the source itself.
    """
    reader = _Reader(fields_of(groups), source)
    reader.faults.extend(faults)
    reader.read_fields()
    reader.decide_defaults()
    for group in groups.values():
        reader.apply(group)
    reader.look_for_misspelt({*elsewhere})
    built = {} if reader.faults else {name: reader.build(group) for name, group in groups.items()}
    return Reading(built, reader.in_order(reader.faults), reader.in_order(reader.cautions))


class _Reader:
    """One run: fills `values` with what is valid, and notes the rest."""

    def __init__(self, fields: Mapping[str, FieldInfo], source: Variables) -> None:
        self.fields = fields
        self.source = source
        self.values: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.cautions: list[Caution] = []
        found = {name: source.get_field_value(field, name) for name, field in fields.items()}
        self.texts = {name: text for name, (text, _, _) in found.items() if text is not None}
        self.used = {name: variable for name, (_, variable, _) in found.items()}

    def read_fields(self) -> None:
        unreadable = {fault.variable for fault in self.faults}
        for name, field in self.fields.items():
            try:
                if name in self.texts:
                    self.values[name] = self._read_text(name, field)
                elif not field.is_required():
                    self._take_default(name, field)
                elif self.used[name] not in unreadable:
                    self.faults.append(Fault(self.used[name], MISSING))
            except GrammarError as error:
                self.faults.append(Fault(self.used[name], str(error)))

    def _read_text(self, name: str, field: FieldInfo) -> object:
        text = as_text(self.texts[name])
        self._refuse_two_meanings(name, field, text)
        production = self.values.get("app_env") == "production"
        if production and text == describe(name, field).placeholder:
            raise GrammarError("must not be the placeholder of .env.example in production")
        return kind_of(field).parse(text)

    def _take_default(self, name: str, field: FieldInfo) -> None:
        default = field.default
        if not isinstance(field.default_factory, By):
            self.values[name] = (
                kind_of(field).parse(default) if isinstance(default, str) else default
            )

    def _refuse_two_meanings(self, name: str, field: FieldInfo, text: str) -> None:
        for other in self.source.names(field, name):
            if self.source.texts.get(other, text).strip() != text:
                raise GrammarError(f"must not differ from {other}")

    def decide_defaults(self) -> None:
        """The defaults that depend on other values; without the environment there are none."""
        for name, field in self.fields.items():
            by = field.default_factory
            if isinstance(by, By) and name not in self.texts and "app_env" in self.values:
                self.values[name] = by.decide(self.values)

    def apply(self, group: type[Group]) -> None:
        """Run the rules of *group*."""
        known = {**self.values, "given": self.texts.keys(), "loaded": self.fields.keys()}
        for rule in group.rules:
            for found in findings(rule, known):
                self._note(found)

    def _note(self, found: Finding) -> None:
        variable = self.used[found.field]
        text = found.text.format_map(self.used)
        if not found.fatal:
            self.cautions.append(Caution(variable, text))
        elif found.field in self.texts or all(fault.variable != variable for fault in self.faults):
            # That a variable is missing is said once, however many rules miss it.
            self.faults.append(Fault(variable, text))

    def look_for_misspelt(self, elsewhere: set[str]) -> None:
        meant = self.source.all_names(self.fields)
        for name in sorted(self.source.texts.keys() - elsewhere.union(meant)):
            near = nearest(name, meant)
            if near is not None:
                self.cautions.append(Caution(name, f"{name}: unknown, did you mean {near}?"))

    def build(self, group: type[Group]) -> Group:
        """The group itself; what is left out is what pydantic knows as its default."""
        own = group.model_fields
        decided = {name for name, field in own.items() if isinstance(field.default_factory, By)}
        wanted = own.keys() & (self.texts.keys() | decided | {"app_env"})
        return group(**{name: self.values[name] for name in own if name in wanted})

    def in_order(self, found: Iterable[FoundT]) -> tuple[FoundT, ...]:
        """Sorted as the schema is; what belongs to no variable of it first."""
        place = {variable: at for at, variable in enumerate(self.used.values())}
        return tuple(sorted(found, key=lambda each: place.get(each.variable, -1)))
