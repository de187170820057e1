"""The documents of ``python -m benchmarks dsl``, some hundreds of them: refused with a code, or read alike by all."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.documents import Document, examples, generated, mutation, mutations
from benchmarks.dsl import Watch, judged, plans
from dags_generator.parse import parse_pair
from federatedml.canonical import canonical_json

PAIRS = examples()


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.mark.parametrize("of", range(len(PAIRS)))
def test_the_examples_are_valid_and_have_a_meaning_of_their_own(of: int) -> None:
    bodies = [canonical_json(part) for part in PAIRS[of]]
    found = parse_pair("p", *bodies, "d", "c")
    assert plans(found) != plans(parse_pair("q", *bodies, "d", "c"))


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**64), st.integers(0, len(PAIRS) - 1))
def test_a_mutation_is_refused_or_read_alike(watch: Watch, seed: int, of: int) -> None:
    assert judged([mutation(Random(seed), PAIRS[of], of)], watch).wrong == []


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**64))
def test_a_generated_document_is_refused_or_read_alike(watch: Watch, seed: int) -> None:
    assert judged(generated(seed, 3), watch).wrong == []


def test_what_is_generated_is_the_same_for_a_seed_and_of_all_kinds(watch: Watch) -> None:
    found = list(mutations(7, 300))
    assert found == list(mutations(7, 300))
    assert {document.of for document in found} == set(range(len(PAIRS)))
    result = judged(found, watch)
    assert result.accepted > 30
    assert len(result.codes) > 5
    assert judged(generated(7, 60), watch).accepted > 5


def test_a_change_that_is_called_neutral_and_is_not_is_found(watch: Watch) -> None:
    dsl, conf = PAIRS[0]
    other = {**conf, "algorithm_parameters": {"hetero_lr_0": {"max_iter": 2}}}
    for body in (canonical_json(other), b"{"):
        (problem,) = judged([Document(canonical_json(dsl), body, 0, neutral=True)], watch).wrong
        assert "a neutral change" in problem


def test_a_file_that_is_written_is_seen(watch: Watch, tmp_path: object) -> None:
    watch.found.clear()
    watch.armed = True
    try:
        open(f"{tmp_path}/x", "w").close()
    finally:
        watch.armed = False
    assert watch.found == {"open": 1}
