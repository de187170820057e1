"""JSON that comes from people and peers: read strictly, brought to one normal form."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from federatedml.canonical import canonical_json
from federatedml.errors import DslError

MAX_BYTES = 2**20
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # I-JSON: what every JSON reader can hold exactly
EXPONENT = 1e21  # from here on the canonical form has an exponent and reads back as a float
OBJECTS, LISTS = (dict, Mapping), (list, Sequence)  # what there is mostly comes first: that is cheap
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
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique(where), parse_constant=_constant(where))
    except UnicodeDecodeError as error:
        raise DslError("FED-100", f"{where}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise DslError(
            "FED-100", f"{where}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except (RecursionError, ValueError) as error:
        raise DslError("FED-100", f"{where}: cannot be read: {clip(str(error))}") from None
    if not isinstance(value, dict):
        raise DslError("FED-100", f"{where}: found {type_name(value)}, a JSON object is expected")
    normal: dict[str, Any] = normalised(value, where)
    return normal


def type_name(value: object) -> str:
    """JSON's name of a value's type."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def normalised(value: Any, where: str, depth: int = 0) -> Any:
    """A copy with whole floats as integers; ``DslError`` for what has no canonical form."""
    if depth > MAX_DEPTH:
        raise DslError("FED-100", f"{where}: nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, OBJECTS):
        return {_text(key, where): normalised(item, where, depth + 1) for key, item in value.items()}
    if isinstance(value, LISTS):
        return [normalised(item, where, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value, where)
    raise DslError("FED-100", f"{where}: {clip(value)} has no JSON form")


def digest(value: Any) -> str:
    """Hex SHA-256 of the canonical form (RFC 8785)."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _unique(where: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DslError("FED-100", f"{where}: key {clip(twice)} is given twice in one object")
        return found

    return pairs


def _constant(where: str) -> Any:
    def refuse(name: str) -> NoReturn:
        raise DslError("FED-100", f"{where}: {name} is not a JSON number")

    return refuse


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise DslError("FED-100", f"{where}: key {clip(value)} is not a string")
    try:
        if not value.isascii():
            value.encode()
    except UnicodeEncodeError:
        raise DslError("FED-100", f"{where}: {clip(value)} holds half of a surrogate pair") from None
    return value


def _number(value: int | float, where: str) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise DslError("FED-100", f"{where}: a number is out of range")
    if isinstance(value, float) and (not value.is_integer() or abs(value) >= EXPONENT):
        return value
    if abs(value) > MAX_INTEGER:
        raise DslError("FED-100", f"{where}: {clip(value)} is beyond 2^53 - 1", "write large integers as strings")
    return int(value)
