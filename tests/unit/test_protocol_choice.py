"""``auto`` is a pure function of what is declared; its boundaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federatedml.crypto.choice import (
    Boosting,
    Place,
    ProtocolName,
    for_boosting,
    for_linear,
    paillier_seconds,
    shared_seconds,
)
from federatedml.errors import ProtocolError

SHARED, PAILLIER = ProtocolName.SHARED, ProtocolName.PAILLIER
FAST, SLOW = Place(True, 16, 1e9), Place(True, 16, 1e8)


def large(trees: int) -> Boosting:
    return Boosting(rows=10**6, columns=300, candidates=9300, depth=5, trees=trees)


def test_linear_models_follow_the_submitted_conf_alone() -> None:
    assert for_linear(method_is_set=True) == "paillier"
    assert for_linear(method_is_set=False) == "shared"


@pytest.mark.parametrize(("place", "most"), [(FAST, 2), (SLOW, 17)])
def test_few_trees_on_a_large_table_do_not_earn_the_masked_table(place: Place, most: int) -> None:
    assert for_boosting(large(most), place) == PAILLIER
    assert for_boosting(large(most + 1), place) == SHARED


def test_small_tables_are_shared() -> None:
    assert for_boosting(Boosting(30_000, 13, 78, 3, 10), Place(True, 2, 1e9)) == SHARED


def test_equal_seconds_are_shared() -> None:
    """All in powers of two: 1 tree of depth 1 without columns' worth of additions is 4096 n against 32 n m + 64 n."""
    sizes = Boosting(1024, 1, 126, 1, 1)
    place = Place(True, 2**60, 2.0**20)
    assert paillier_seconds(sizes, place) == shared_seconds(sizes, place)
    assert for_boosting(sizes, place) == SHARED
    assert for_boosting(Boosting(1024, 1, 127, 1, 1), place) == PAILLIER


def test_the_terms() -> None:
    sizes, place = Boosting(1000, 10, 300, 5, 7), Place(True, 4, 1e6)
    assert paillier_seconds(sizes, place) == pytest.approx(7 * (7.5e-6 * 1000 * 10 / 4 + 4096 * 1000 / 1e6))
    assert shared_seconds(sizes, place) == pytest.approx(32 * 1000 * 300 / 1e6 + 64 * 16 * 1000 * 7 / 1e6)


@given(st.integers(1, 1000), st.booleans(), st.booleans())
def test_without_a_dealer_or_with_a_method_it_is_paillier(trees: int, dealer: bool, method: bool) -> None:
    found = for_boosting(large(trees), Place(dealer, 16, 1e9), method)
    assert found == (SHARED if dealer and not method and trees > 2 else PAILLIER)


@pytest.mark.parametrize("sizes", [(0, 1, 1, 1, 1), (1, 1, 1, 0, 1), (1, 1, 1, 1, 0)])
def test_impossible_sizes_are_refused(sizes: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(ProtocolError, match="FED-710"):
        Boosting(*sizes)


@pytest.mark.parametrize(("cores", "bits"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_impossible_places_are_refused(cores: int, bits: float) -> None:
    with pytest.raises(ProtocolError, match="FED-710"):
        Place(True, cores, bits)
