import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federatedml.canonical import canonical_json
from federatedml.errors import DslError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # appendix B of RFC 8785
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x8000000000000001, "-5e-324"),
        (0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"),
        (0x4340000000000000, "9007199254740992"),
        (0x4430000000000000, "295147905179352830000"),
        (0x44B52D02C7E14AF5, "9.999999999999997e+22"),
        (0x44B52D02C7E14AF6, "1e+23"),
        (0x444B1AE4D6E2EF4E, "999999999999999700000"),
        (0x444B1AE4D6E2EF4F, "999999999999999900000"),
        (0x444B1AE4D6E2EF50, "1e+21"),
        (0x3EB0C6F7A0B5ED8C, "9.999999999999997e-7"),
        (0x3EB0C6F7A0B5ED8D, "0.000001"),
        (0x41B3DE4355555553, "333333333.3333332"),
        (0xBECBF647612F3696, "-0.0000033333333333333333"),
        (0x43143FF3C1CB0959, "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_ecmascript_writes_them(bits: int, text: str) -> None:
    assert canonical_json(struct.unpack(">d", struct.pack(">Q", bits))[0]) == text.encode()


def test_keys_are_sorted_by_utf16_and_control_characters_escaped() -> None:
    value = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\U0001f600": "Smiley", "\ufb33": "Dalet", "1": "One"}
    assert list(json.loads(canonical_json(value))) == ["\r", "1", "\u20ac", "\U0001f600", "\ufb33"]
    assert canonical_json("\u20ac$\x0f\nA'B\"\\") == b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\"'


@given(JSON)
def test_the_value_survives_and_the_form_is_stable(value: object) -> None:
    body = canonical_json(value)
    assert json.loads(body, parse_int=float) == json.loads(json.dumps(value), parse_int=float)
    assert canonical_json(json.loads(body)) == body


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-5, 5), min_size=2))
def test_the_order_of_keys_changes_nothing(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53 + 1, {1: 2}, object(), "\ud800", b"x", {"\ud800": 1}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(DslError, match="FED-102"):
        canonical_json(value)
