"""What shares with a dealer cost: unit costs for comparisons between schemes (one core, large tables)."""

from __future__ import annotations

from federatedml.crypto.vector import Capabilities


def _capabilities(word_bytes: int, multiply: float, bin_: float) -> Capabilities:
    return Capabilities(
        elementwise=False,
        public_key=False,
        setup=True,
        dealer=True,
        bytes_per_value=word_bytes,
        bytes_per_entry=word_bytes,
        seal=1e-8,
        multiply=multiply,
        bin=bin_,
        reveal=5e-9,
        open=2e-8,
    )


CAPABILITIES = {32: _capabilities(4, 3e-10, 5e-10), 64: _capabilities(8, 9e-10, 1e-9)}
