"""Canonical JSON (RFC 8785): equal values are equal bytes at every party, so digests of them can be compared."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from federatedml.errors import DslError

EXACT = 2**53  # JSON numbers are doubles: integers beyond may be inexact
LARGEST = 10**21  # ECMAScript writes larger ones with an exponent


def canonical_json(value: Any) -> bytes:
    """``value`` as RFC 8785 bytes: sorted keys, no white space, ECMAScript's numbers, UTF-8.

    Raises:
        DslError: something that JSON cannot say exactly (NaN, an integer beyond 2**53, a key that is not text).
    """
    try:
        return _text(value).encode()
    except UnicodeEncodeError:
        raise DslError("FED-102", "text with a lone surrogate", "only valid Unicode") from None


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in sorted(value, key=_order)) + "}"
    raise DslError("FED-102", f"{type(value).__name__} is not a JSON value")


def _order(key: Any) -> bytes:
    if not isinstance(key, str):
        raise DslError("FED-102", f"key of type {type(key).__name__}", "keys are text")
    return key.encode("utf-16-be", "surrogatepass")


def _number(value: float) -> str:
    if isinstance(value, int):
        if abs(value) > EXACT and (abs(value) > LARGEST or _ecmascript(float(value)) != str(value)):
            raise DslError("FED-102", "an integer beyond 2**53", "write it as text")
        return str(value)
    if not math.isfinite(value):
        raise DslError("FED-102", "a number that is not finite", "JSON has no NaN and no infinity")
    return _ecmascript(value)


def _ecmascript(value: float) -> str:
    """ECMA-262, Number::toString, from Python's equally shortest digits."""
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{abs(value)!r}e0".partition("e")
    whole, _, fraction = mantissa.partition(".")
    shift = int(exponent.removesuffix("e0") or 0)
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + shift - (len(whole + fraction) - len(digits))  # value = 0.DIGITS * 10**point
    digits = digits.rstrip("0")
    sign, count = "-" if value < 0 else "", len(digits)
    if count <= point <= 21:
        return f"{sign}{digits}{'0' * (point - count)}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
