"""The group ristretto255 (RFC 9496): prime order, every element one encoding, no cofactor and no twist to think of.

Made for some hundred operations a job, not for millions. Arithmetic on GMP's integers is not constant in time: keys
live for one attempt, in a process that does not answer strangers.
"""

from __future__ import annotations

from collections.abc import Iterator

import gmpy2
from gmpy2 import mpz

from federatedml.errors import ProtocolError

PRIME = mpz(2) ** 255 - 19
ORDER = mpz(2) ** 252 + 27742317777372353535851937790883648493
ELEMENT_BYTES = 32
UNIFORM_BYTES = 64
WINDOW = 4  # bits of a scalar that one addition takes
DIGITS = 64

D = mpz(-121665 * pow(121666, -1, int(PRIME))) % PRIME  # of the curve -x^2 + y^2 = 1 + d x^2 y^2
ROOT = gmpy2.powmod(2, (PRIME - 1) // 4, PRIME)  # of -1


class Element:
    """An element, as a point (X : Y : Z : T) of edwards25519 that stands for its class."""

    __slots__ = ("t", "x", "y", "z")

    def __init__(self, x: mpz, y: mpz, z: mpz, t: mpz) -> None:
        self.x, self.y, self.z, self.t = x, y, z, t

    def __add__(self, other: Element) -> Element:
        """The unified addition of Hisil, Wong, Carter, Dawson 2008, section 3.1."""
        a = (self.y - self.x) * (other.y - other.x) % PRIME
        b = (self.y + self.x) * (other.y + other.x) % PRIME
        c = 2 * D * (self.t * other.t % PRIME) % PRIME
        d = 2 * self.z * other.z % PRIME
        return _product(b - a, d - c, d + c, b + a)

    def __neg__(self) -> Element:
        return Element(-self.x, self.y, self.z, -self.t)

    def __sub__(self, other: Element) -> Element:
        return self + -other

    def doubled(self) -> Element:
        """The element added to itself (the same paper, section 3.3)."""
        a, b = self.x * self.x % PRIME, self.y * self.y % PRIME
        h, g = a + b, a - b
        return _product(h - (self.x + self.y) ** 2, 2 * self.z * self.z + g, g, h)

    def times(self, scalar: int) -> Element:
        """``scalar`` (below 2^256) times this element."""
        multiples = _multiples(self)
        total = NEUTRAL
        for digit in reversed(list(_digits(scalar))):
            for _ in range(WINDOW):
                total = total.doubled()
            if digit:
                total += multiples[digit]
        return total

    def montgomery(self) -> bytes:
        """The u-coordinate on Curve25519 (RFC 7748, section 4.1) of the point, which is *not* unique to the element:
        times a multiple of 8 it is."""
        return int((self.z + self.y) * gmpy2.invert(self.z - self.y, PRIME) % PRIME).to_bytes(ELEMENT_BYTES, "little")

    def encode(self) -> bytes:
        """The 32 bytes of RFC 9496, section 4.3.2."""
        u1, u2 = (self.z + self.y) * (self.z - self.y) % PRIME, self.x * self.y % PRIME
        _, inverse = _square_root(mpz(1), u1 * u2 * u2)
        first, second = inverse * u1 % PRIME, inverse * u2 % PRIME
        z_inverse = first * second * self.t % PRIME
        x, y, divisor = self.x, self.y, second
        if _negative(self.t * z_inverse):
            x, y, divisor = self.y * ROOT, self.x * ROOT, first * INVERSE_ROOT
        if _negative(x * z_inverse):
            y = -y
        return int(_positive(divisor * (self.z - y))).to_bytes(ELEMENT_BYTES, "little")


class Multiples:
    """A table of one element's multiples, with which a multiplication is 63 additions and no doubling."""

    def __init__(self, element: Element) -> None:
        self._rows: list[list[Element]] = []
        for _ in range(DIGITS):
            self._rows.append(_multiples(element))
            element = self._rows[-1][-1] + element

    def times(self, scalar: int) -> Element:
        """``scalar`` (below 2^256) times the element."""
        total = NEUTRAL
        for row, digit in zip(self._rows, _digits(scalar), strict=True):
            if digit:
                total += row[digit]
        return total


def decode(encoded: bytes) -> Element:
    """The element of a peer's 32 bytes (RFC 9496, section 4.3.1); ``FED-730`` unless they are the encoding of one."""
    s = mpz(int.from_bytes(encoded, "little"))
    square = s * s % PRIME
    u1, u2 = 1 - square, 1 + square
    v = (-D * u1 * u1 - u2 * u2) % PRIME
    was_square, inverse = _square_root(mpz(1), v * u2 * u2)
    x = _positive(2 * s * inverse * u2)
    y = u1 * inverse * (inverse * u2 % PRIME) * v % PRIME
    t = x * y % PRIME
    if len(encoded) != ELEMENT_BYTES or s >= PRIME or _negative(s) or not was_square or _negative(t) or not y:
        raise ProtocolError("FED-730", "bytes that are not the encoding of an element of ristretto255")
    return Element(x, y, mpz(1), t)


def hashed(uniform: bytes) -> Element:
    """The element that 64 uniform bytes map to (RFC 9496, section 4.3.4). Nobody knows its discrete logarithm."""
    return _mapped(uniform[:32]) + _mapped(uniform[32:])


def _mapped(half: bytes) -> Element:
    t = mpz(int.from_bytes(half, "little") % 2**255) % PRIME
    r = ROOT * t * t % PRIME
    v = (-1 - r * D) * (r + D) % PRIME
    was_square, s = _square_root((r + 1) * (1 - D * D), v)
    c = mpz(-1)
    if not was_square:
        s, c = -_positive(s * t), r
    n = (c * (r - 1) * (D - 1) ** 2 - v) % PRIME
    return _product(2 * s * v, 1 + s * s, n * ROOT_AD, 1 - s * s)


def _product(e: mpz, f: mpz, g: mpz, h: mpz) -> Element:
    """The point x = e/g, y = h/f."""
    return Element(e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def _square_root(u: mpz, v: mpz) -> tuple[bool, mpz]:
    """SQRT_RATIO_M1 of RFC 9496, section 4.2: whether u/v is a square, and the even root of it or of u/v times ROOT."""
    u, v = u % PRIME, v % PRIME
    cube = v * v * v % PRIME
    root = u * cube * gmpy2.powmod(u * cube * cube * v, (PRIME - 5) // 8, PRIME) % PRIME
    check = v * root * root % PRIME
    if check in ((-u) % PRIME, -u * ROOT % PRIME):
        root = root * ROOT % PRIME
    return check in (u, (-u) % PRIME), _positive(root)


def _negative(value: mpz) -> bool:
    return bool(value % PRIME & 1)


def _positive(value: mpz) -> mpz:
    value %= PRIME
    return PRIME - value if value & 1 else value


def _multiples(element: Element) -> list[Element]:
    found = [NEUTRAL]
    for _ in range(2**WINDOW - 1):
        found.append(found[-1] + element)
    return found


def _digits(scalar: int) -> Iterator[int]:
    """DIGITS digits of WINDOW bits, lowest first."""
    for byte in int(scalar).to_bytes(DIGITS * WINDOW // 8, "little"):
        yield byte & 15
        yield byte >> 4


NEUTRAL = Element(mpz(0), mpz(1), mpz(1), mpz(0))
INVERSE_ROOT = _square_root(mpz(1), -1 - D)[1]  # of -1 - d
ROOT_AD = -_square_root(-D - 1, mpz(1))[1] % PRIME  # of -d - 1, the odd one
GENERATOR = decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"))
