"""What shares with a dealer cost: unit costs for the choice between schemes."""

from __future__ import annotations

from federatedml.crypto.vector import Capabilities


def _capabilities(word_bytes: int, multiply: float) -> Capabilities:
    return Capabilities(
        elementwise=False,
        public_key=False,
        setup=True,
        dealer=True,
        bytes_per_value=word_bytes,
        bytes_per_entry=word_bytes,
        seal=2e-8,
        multiply=multiply,
        bin=1e-9,
        reveal=2e-9,
        open=5e-9,
    )


CAPABILITIES = {32: _capabilities(4, 5e-11), 64: _capabilities(8, 1e-10)}
