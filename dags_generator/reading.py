"""JSON that comes from people and peers: read strictly, brought to one normal form."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federatedml.canonical import canonical_json
from federatedml.errors import DslError

MAX_BYTES = 2**20
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # I-JSON: what every JSON reader can hold exactly
EXPONENT = 1e21  # from here on the canonical form has an exponent and reads back as a float
OBJECTS, LISTS = (dict, Mapping), (list, Sequence)  # what there is mostly comes first: that is cheap
MAX_SHOWN_DEPTH = 6  # keys of a place that an error names, the outermost
SHOWN = 60  # characters of a value that an error quotes


def clip(value: object) -> str:
    """A value as errors show it: one line of ASCII, bounded."""
    text = ascii(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def read_object(body: bytes, where: str) -> dict[str, Any]:
    """A JSON object in its normal form: numbers that are whole are integers.

    Args:
        body: UTF-8, at most ``MAX_BYTES``.
        where: file name or origin, for errors.

    Raises:
        DslError: not JSON, not an object, a repeated key, NaN or infinity, too large, too deep.
    """
    if len(body) > MAX_BYTES:
        raise DslError("FED-100", f"{where}: {len(body)} bytes", f"at most {MAX_BYTES} are read")
    try:
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_Constant)
    except UnicodeDecodeError as error:
        raise DslError("FED-100", f"{where}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise DslError(
            "FED-100", f"{where}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except (RecursionError, ValueError) as error:
        raise DslError("FED-100", f"{where}: cannot be read: {clip(str(error))}") from None
    if not isinstance(value, dict | _Twice):
        raise DslError("FED-100", f"{where}: found {type_name(value)}, a JSON object is expected")
    normal: dict[str, Any] = normalised(value, where)
    return normal


def type_name(value: object) -> str:
    """JSON's name of a value's type."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def normalised(value: Any, where: str) -> Any:
    """A copy with whole floats as integers; ``DslError`` for what has no canonical form, naming the place."""
    try:
        return _normal(value, 0)
    except _NoForm as fault:
        place = ".".join(clip(key)[1:-1] for key in reversed(fault.path[-MAX_SHOWN_DEPTH:]))
        raise DslError("FED-100", f"{where}: {place}{': ' if place else ''}{fault.problem}", fault.allowed) from None


class _NoForm(Exception):  # noqa: N818 - becomes a ``DslError`` as soon as the whole path is known
    """A value without a canonical form. ``path``: keys from the inside out."""

    def __init__(self, problem: str, allowed: str = "") -> None:
        super().__init__(problem)
        self.problem, self.allowed = problem, allowed
        self.path: list[str] = []


def _normal(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise _NoForm(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, OBJECTS):
        return _normal_object(value, depth)
    if isinstance(value, LISTS):
        return [_normal(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, _Twice):
        raise _NoForm(f"key {clip(value.key)} is given twice in one object", "each key once")
    if isinstance(value, _Constant):
        raise _NoForm(f"{value.name} is not a JSON number", "finite numbers")
    raise _NoForm(f"{clip(value)} has no JSON form")


def _normal_object(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    found = {}
    for key, item in value.items():
        try:
            found[_text(key)] = _normal(item, depth + 1)
        except _NoForm as fault:
            fault.path.append(str(key))
            raise
    return found


def digest(value: Any) -> str:
    """Hex SHA-256 of the canonical form (RFC 8785)."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


@dataclass(frozen=True)
class _Twice:
    """Stands for an object that has a key twice, until its place is known."""

    key: str


@dataclass(frozen=True)
class _Constant:
    """Stands for what Python reads as a number and JSON does not have."""

    name: str


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    found = dict(items)
    if len(found) == len(items):
        return found
    keys = [key for key, _ in items]
    return _Twice(next(key for key in keys if keys.count(key) > 1))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _NoForm(f"key {clip(value)} is not a string")
    try:
        if not value.isascii():
            value.encode()
    except UnicodeEncodeError:
        raise _NoForm(f"{clip(value)} holds half of a surrogate pair") from None
    return value


def _number(value: int | float) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise _NoForm("a number is out of range", f"magnitudes up to {sys.float_info.max:.4g}")
    if isinstance(value, float) and (not value.is_integer() or abs(value) >= EXPONENT):
        return value
    if abs(value) > MAX_INTEGER:
        raise _NoForm(f"{clip(value)} is beyond 2^53 - 1", "write large integers as strings")
    return int(value)
