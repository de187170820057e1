"""What Paillier costs: unit costs for the choice between schemes, measured at 2048 bits on one core of 2021."""

from __future__ import annotations

from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.vector import Capabilities

PRODUCT = {1024: 1.5e-6, 2048: 4.5e-6, 3072: 9e-6, 4096: 15e-6}  # seconds of a multiplication modulo n^2


def capabilities(public: PublicKey) -> Capabilities:
    """In multiplications: 32 to seal, 3.5 per entry of a product, 1 per bin; 128 for the owner's noise; 600 to open."""
    product = PRODUCT.get(public.bits, PRODUCT[2048] * (public.bits / 2048) ** 2)
    return Capabilities(
        elementwise=True,
        public_key=True,
        setup=False,
        dealer=False,
        bytes_per_value=public.width,
        bytes_per_entry=0,
        seal=32 * product,
        multiply=3.5 * product,
        bin=product,
        reveal=130 * product,
        open=600 * product,
    )
