"""Shamir's secret sharing (1979): 32 bytes in n shares. ``threshold`` of them give the secret, fewer say nothing.

A secret is a number below 2^256; a polynomial of degree threshold - 1 over the integers modulo 2^256 + 297 has it as
its value at 0 and uniform coefficients else. Share i is the value at i, i from 1 to n.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

from federatedml.errors import ProtocolError

PRIME = 2**256 + 297  # the smallest above 2^256
SECRET_BYTES, SHARE_BYTES = 32, 33


def split(secret: bytes, threshold: int, count: int) -> list[bytes]:
    """Shares 1 to ``count``, 33 bytes each."""
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= count:
        raise ProtocolError("FED-768", f"{len(secret)} bytes cannot be shared {threshold} of {count}")
    coefficients = [int.from_bytes(secret, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return [_value(coefficients, index).to_bytes(SHARE_BYTES, "big") for index in range(1, count + 1)]


def join(shares: Mapping[int, bytes], threshold: int, count: int) -> bytes:
    """The secret of shares by index. Those beyond ``threshold`` are compared with what the first ones say.

    Raises:
        ProtocolError: ``FED-768``, too few shares, an index that nobody has, a share that is no number of the field,
            shares that do not belong together.
    """
    if len(shares) < threshold:
        raise ProtocolError("FED-768", f"{len(shares)} shares of a secret came, {threshold} are needed")
    wrong = sorted(index for index, share in shares.items() if not 1 <= index <= count or not is_share(share))
    if wrong:
        raise ProtocolError("FED-768", f"shares {wrong} of {count} are no shares")
    points = {index: int.from_bytes(share, "big") for index, share in sorted(shares.items())}
    first = dict(list(points.items())[:threshold])
    if any(_interpolated(first, index) != value for index, value in points.items() if index not in first):
        raise ProtocolError("FED-768", "shares of a secret contradict each other")
    secret = _interpolated(first, 0)
    if secret >= 2 ** (8 * SECRET_BYTES):
        raise ProtocolError("FED-768", "shares of a secret do not belong together")
    return secret.to_bytes(SECRET_BYTES, "big")


def is_share(share: bytes) -> bool:
    """Whether bytes are a number of the field."""
    return len(share) == SHARE_BYTES and int.from_bytes(share, "big") < PRIME


def _value(coefficients: Sequence[int], at: int) -> int:
    """Horner's rule."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * at + coefficient) % PRIME
    return value


def _interpolated(points: Mapping[int, int], at: int) -> int:
    """The polynomial's value by Lagrange's formula."""
    total = 0
    for index, value in points.items():
        others = [other for other in points if other != index]
        above, below = _product(at - other for other in others), _product(index - other for other in others)
        total += value * above * pow(below, -1, PRIME)
    return total % PRIME


def _product(factors: Iterable[int]) -> int:
    product = 1
    for factor in factors:
        product = product * factor % PRIME
    return product
