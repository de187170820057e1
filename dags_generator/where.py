"""Where in which file something stands, so that every error can say it; and the first checks on JSON values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dags_generator.reading import clip, type_name
from federatedml.errors import DslError

PLAIN_KEY = re.compile(r"[A-Za-z0-9_#.-]{1,64}")
LATER = "comes with a later version"
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a JSON file: ``hetero_lr_dsl.json: components.dataio_0.input``.

    Attributes:
        written: where beginnings of paths stand in the file itself, if what is checked was converted from it; only
            asked for by an error.
    """

    file: str
    path: Path = ()
    written: Callable[[], Mapping[Path, Path]] = field(default=dict, compare=False)

    def at(self, *keys: object) -> Where:
        """A place below this one."""
        return Where(self.file, (*self.path, *map(str, keys)), self.written)

    @property
    def shown(self) -> Path:
        """The path in the file: the longest beginning that was converted is replaced."""
        written = self.written()
        for end in range(len(self.path), 0, -1):
            if self.path[:end] in written:
                return written[self.path[:end]] + self.path[end:]
        return self.path

    @property
    def above(self) -> Where:
        """The object that this place is a key of, in the file."""
        return Where(self.file, self.shown[:-1])

    def __str__(self) -> str:
        keys = [key if PLAIN_KEY.fullmatch(key) else clip(key) for key in self.shown]
        return f"{self.file}: {'.'.join(keys)}" if keys else self.file

    def error(self, code: str, problem: str, allowed: str = "") -> DslError:
        """An error about this place."""
        return DslError(code, f"{self}: {problem}", allowed)

    def object(self, value: Any) -> Mapping[str, Any]:
        """``value`` if it is an object."""
        if type(value) is not dict and not isinstance(value, Mapping):  # the first costs nothing
            raise self.error("FED-103", f"found {type_name(value)}: {clip(value)}", "an object is expected")
        return value

    def list(self, value: Any) -> list[Any]:
        """``value`` if it is a list."""
        if not isinstance(value, list):
            raise self.error("FED-103", f"found {type_name(value)}: {clip(value)}", "a list is expected")
        return value

    def text(self, value: Any) -> str:
        """``value`` if it is a string."""
        if not isinstance(value, str):
            raise self.error("FED-103", f"found {type_name(value)}: {clip(value)}", "a string is expected")
        return value

    def required(self, value: Mapping[str, Any], key: str) -> Any:
        """The value of ``key``, which must be there."""
        if key not in value:
            raise self.error("FED-102", f"key {key!r} is missing", f"found: {names(value)}")
        return value[key]

    def only(self, value: Mapping[str, Any], allowed: Iterable[str], later: Mapping[str, str] | None = None) -> None:
        """Refuse keys that are not understood; those of ``later`` with their own reason."""
        for key in value:
            if later and key in later:
                raise self.at(key).error("FED-150", "is not supported yet", later[key])
            if key not in allowed:
                raise self.error("FED-102", f"key {clip(key)} is not understood", f"allowed: {names(allowed)}")


def names(values: Iterable[object]) -> str:
    """Names for an error, at most 30, in a stable order."""
    found = sorted({str(value) for value in values})
    shown = [name if PLAIN_KEY.fullmatch(name) else clip(name) for name in found[:30]]
    return ", ".join(shown) + (f" and {len(found) - 30} more" if len(found) > 30 else "") or "none"
