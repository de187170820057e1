"""What Paillier costs: unit costs for comparisons between schemes, measured on one core with AVX-512."""

from __future__ import annotations

from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.vector import Capabilities

PRODUCT = {1024: 0.5e-6, 2048: 1.7e-6, 3072: 3.7e-6, 4096: 6.6e-6}  # seconds of a multiplication modulo n^2


def capabilities(public: PublicKey) -> Capabilities:
    """In multiplications: 35 to seal, 4 per entry of a product, 1 per bin, 140 for an answer, 900 to open it."""
    product = PRODUCT.get(public.bits, PRODUCT[2048] * (public.bits / 2048) ** 2)
    return Capabilities(
        elementwise=True,
        public_key=True,
        setup=False,
        dealer=False,
        bytes_per_value=public.width,
        bytes_per_entry=0,
        seal=35 * product,
        multiply=4 * product,
        bin=product,
        reveal=140 * product,
        open=900 * product,
    )
