"""Where variables come from: the environment, a `.env` file, a directory of secrets."""

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from socialflow_core._kit.errors import requires_extra
from socialflow_core.config._interface import Fault

from ._fields import describe
from ._group import Group

with requires_extra("config"):
    from dotenv.parser import parse_stream  # pydantic-settings brings it
    from pydantic.fields import FieldInfo
    from pydantic_settings import PydanticBaseSettingsSource

__all__ = ["DEFAULT_FILE", "FilePath", "Variables", "env_file_texts", "secret_texts"]

FilePath: TypeAlias = str | os.PathLike[str]

DEFAULT_FILE = ".env"


class Variables(PydanticBaseSettingsSource):
    """Every variable of a start, as a source of pydantic-settings: texts, not yet read.

    A text that is empty but for white space is no text: the variable is unset.

    Args:
        layers: Texts by the variable's exact name; an earlier layer wins.
        prefix: In front of every name of the schema.
    """

    def __init__(self, layers: Iterable[Mapping[str, str]], *, prefix: str = "") -> None:
        super().__init__(Group)
        self.prefix = prefix
        self.texts: dict[str, str] = {}
        for layer in layers:
            for name, text in layer.items():
                if text.strip():
                    self.texts.setdefault(name, text)

    def names(self, field: FieldInfo, field_name: str) -> tuple[str, ...]:
        """What the variable of a field may be called: its name, and then its alias."""
        known = describe(field_name, field)
        return tuple(self.prefix + name for name in (known.name, known.alias) if name)

    def all_names(self, fields: Mapping[str, FieldInfo]) -> tuple[str, ...]:
        """Every name that means one of these *fields*, in their order."""
        return tuple(each for name, field in fields.items() for each in self.names(field, name))

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The text of a field or None, the name that is in use, and that it is no JSON."""
        names = self.names(field, field_name)
        used = next((name for name in names if name in self.texts), names[0])
        return self.texts.get(used), used, False

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        texts = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: text for name, text in texts.items() if text is not None}


def env_file_texts(path: FilePath, faults: list[Fault]) -> dict[str, str]:
    """What a `.env` file sets, as it stands there: nothing in it is expanded.

    A file of that name need not exist; one of another name must.
    """
    shown = os.fspath(path)
    try:
        content = Path(path).read_text("utf-8-sig")
    except FileNotFoundError:
        if shown != DEFAULT_FILE:
            faults.append(Fault(shown, "does not exist"))
        return {}
    except (OSError, ValueError) as error:
        faults.append(Fault(shown, _why_unreadable(error)))
        return {}
    texts = {}
    for binding in parse_stream(io.StringIO(content)):
        if binding.error:
            faults.append(Fault(shown, f"line {binding.original.line} must be NAME=value"))
        elif binding.key is not None and binding.value is not None:
            texts[binding.key] = binding.value
    return texts


def secret_texts(folder: FilePath, names: Iterable[str], faults: list[Fault]) -> dict[str, str]:
    """The content of the files in *folder* that are called as these variables, in any case."""
    shown = os.fspath(folder)
    try:
        files = {path.name: path for path in Path(folder).iterdir()}
    except OSError as error:
        faults.append(Fault(shown, _why_unreadable(error)))
        return {}
    by_upper = {name.upper(): path for name, path in files.items()}
    texts = {}
    for name in names:
        path = files.get(name) or by_upper.get(name.upper())
        if path is None:
            continue
        try:
            texts[name] = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            faults.append(Fault(name, f"its file in {shown} {_why_unreadable(error)}"))
    return texts


def _why_unreadable(error: OSError | ValueError) -> str:
    # A UnicodeDecodeError holds the whole content: only its kind may go on.
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return "is not UTF-8 text"
