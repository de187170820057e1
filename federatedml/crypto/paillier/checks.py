"""What comes from a peer is not a ciphertext until it has been checked.

A ciphertext is a unit modulo n^2. Zero and multiples of p or q would make products vanish or tell a factor; they are
found by one running product and one gcd per vector, and the culprit is only looked for when there is one.
"""

from __future__ import annotations

import gmpy2
from gmpy2 import mpz

from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.parts import unpacked
from federatedml.crypto.vector import Packed, Scheme
from federatedml.errors import ProtocolError


def ciphertexts(public: PublicKey, packed: Packed) -> list[mpz]:
    """The valid ciphertexts of a vector.

    Raises:
        ProtocolError: another scheme, key or width, or an element that is not a unit modulo n^2, named by its index.
    """
    if packed.scheme != Scheme.PAILLIER or packed.key != public.key_id or packed.width != public.width:
        raise ProtocolError("FED-705", "a vector is not encrypted under the key of this attempt")
    return checked(public, unpacked(packed.body, packed.width))


def checked(public: PublicKey, numbers: list[mpz]) -> list[mpz]:
    """The same numbers, if each is a unit modulo n^2 below it; ``ProtocolError`` names the first that is not."""
    n, n2, product = public.n, public.n2, mpz(1)
    for c in numbers:
        if not 0 < c < n2:
            break
        product = product * c % n
    else:
        if gmpy2.gcd(product, n) == 1:
            return numbers
    culprit = next(i for i, c in enumerate(numbers) if not 0 < c < n2 or gmpy2.gcd(c, n) != 1)
    raise ProtocolError("FED-706", f"element {culprit} of {len(numbers)} is not a ciphertext")
