"""Base transfers: the receiver gets the chosen key and no other, the sender no choice."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.crypto.psi import base_ot
from federatedml.crypto.psi.ristretto import GENERATOR, NEUTRAL, ORDER, decode, hashed
from federatedml.errors import ProtocolError

CONTEXT = b"an attempt"


@given(st.lists(st.booleans(), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None)
def test_the_receiver_has_the_chosen_keys_and_no_other(choices: list[bool]) -> None:
    sender = base_ot.Sender(CONTEXT)
    points, keys = base_ot.receive(CONTEXT, sender.public, np.array(choices))
    both = sender.keys(points)
    assert both.shape == (len(choices), 2, base_ot.KEY_BYTES)
    for pair, key, choice in zip(both, keys, choices, strict=True):
        assert (pair[int(choice)] == key).all()
        assert (pair[1 - int(choice)] != key).any()
    assert len({key.tobytes() for pair in both for key in pair}) == 2 * len(choices)


def test_a_known_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys follow from the definition, with nothing of the module but its domain."""
    monkeypatch.setattr(base_ot, "_scalar", lambda: 5)
    sender = base_ot.Sender(CONTEXT)
    points, keys = base_ot.receive(CONTEXT, sender.public, np.array([False, True]))
    unknown = hashed(hashlib.sha512(b"airfed-V01-base-ot-element" + CONTEXT).digest())
    elements = [GENERATOR.times(5), unknown - GENERATOR.times(5)]
    assert [point.tobytes() for point in points] == [element.encode() for element in elements]
    five = next(5 + k * int(ORDER) for k in range(8) if (5 + k * int(ORDER)) % 8 == 0)  # free of small components
    shared = decode(sender.public).times(five)
    for i, element in enumerate(elements):
        head = b"airfed-V01-base-ot-key" + len(CONTEXT).to_bytes(4, "big") + CONTEXT + sender.public
        body = element.encode() + i.to_bytes(4, "big") + bytes([i]) + shared.montgomery()
        assert keys[i].tobytes() == hashlib.sha256(head + body).digest()[:16]
    assert (sender.keys(points)[[0, 1], [0, 1]] == keys).all()


def test_another_context_gives_other_keys() -> None:
    sender = base_ot.Sender(CONTEXT)
    points, keys = base_ot.receive(b"another attempt", sender.public, np.array([False, True]))
    both = sender.keys(points)
    assert not any((pair == key).all() for pair in both.reshape(-1, 16) for key in keys)


def test_the_same_element_in_two_transfers_gives_different_keys() -> None:
    sender = base_ot.Sender(CONTEXT)
    points, _ = base_ot.receive(CONTEXT, sender.public, np.array([False]))
    both = sender.keys(np.repeat(points, 2, axis=0)).reshape(-1, 16)
    assert len({key.tobytes() for key in both}) == 4


@pytest.mark.parametrize("encoded", [NEUTRAL.encode(), b"\xff" * 32, b"\x01" + bytes(31)])
def test_elements_of_a_hostile_peer_are_refused(encoded: bytes) -> None:
    with pytest.raises(ProtocolError, match="FED-730"):
        base_ot.receive(CONTEXT, encoded, np.array([False]))
    with pytest.raises(ProtocolError, match="FED-730"):
        base_ot.Sender(CONTEXT).keys(np.frombuffer(encoded, np.uint8)[None])


def test_without_an_element_of_unknown_logarithm_a_receiver_has_both_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """If C were 77 G to everybody's knowledge, b and 77 - b would open both keys of a transfer."""

    def attack() -> list[bytes]:
        points, keys = base_ot.receive(CONTEXT, sender.public, np.array([False]))
        shared = decode(sender.public).times(base_ot._eightfold(76)).montgomery()
        other = base_ot._key(CONTEXT, sender.public, points[0].tobytes(), 0, 1, shared)
        held = {keys[0].tobytes(), other}
        return [key.tobytes() for key in sender.keys(points)[0] if key.tobytes() in held]

    sender = base_ot.Sender(CONTEXT)
    monkeypatch.setattr(base_ot, "_scalar", lambda: 1)
    assert len(attack()) == 1
    monkeypatch.setattr(base_ot, "_unknown", lambda _: GENERATOR.times(77))
    assert len(attack()) == 2
