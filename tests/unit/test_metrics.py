"""Measures of binary scores against scikit-learn, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from federatedml.errors import DataError
from federatedml.metrics.binary import POINTS, Counts

ROWS = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=60).filter(
    lambda rows: len({positive for positive, _ in rows}) == 2
)


def arrays(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    positive, scores = zip(*rows, strict=True)
    return np.array(positive, bool), np.array(scores, np.float64)


@given(ROWS)
@settings(max_examples=150, deadline=None)
def test_auc_ks_and_rates_are_those_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    positive, scores = arrays(rows)
    counts = Counts.of(positive, scores)
    fpr, tpr, thresholds = metrics.roc_curve(positive, scores, drop_intermediate=False)
    assert counts.auc() == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-12)
    assert counts.ks() == pytest.approx((tpr - fpr).max(), abs=1e-12)
    assert counts.thresholds.tolist() == thresholds[1:].tolist()
    np.testing.assert_allclose(counts.tpr(), tpr[1:])
    np.testing.assert_allclose(counts.fpr(), fpr[1:])


@given(ROWS)
@settings(max_examples=50, deadline=None)
def test_predictions_at_every_threshold_are_those_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    positive, scores = arrays(rows)
    counts = Counts.of(positive, scores)
    for i, threshold in enumerate(counts.thresholds):
        predicted = scores >= threshold
        assert counts.accuracy()[i] == pytest.approx(metrics.accuracy_score(positive, predicted))
        assert counts.precision()[i] == pytest.approx(metrics.precision_score(positive, predicted))
        assert counts.tpr()[i] == pytest.approx(metrics.recall_score(positive, predicted))
        assert counts.depth()[i] == pytest.approx(predicted.mean())
        assert counts.lift()[i] == pytest.approx(positive[predicted].mean() / positive.mean())


@given(ROWS)
@settings(max_examples=50, deadline=None)
def test_order_of_rows_does_not_matter(rows: list[tuple[bool, int]]) -> None:
    forwards, backwards = Counts.of(*arrays(rows)), Counts.of(*arrays(rows[::-1]))
    assert (forwards.auc(), forwards.ks()) == (backwards.auc(), backwards.ks())


@pytest.mark.parametrize("rows", [1, 99, 100, 101, 5000])
def test_few_thresholds_are_drawn_and_the_ends_are_among_them(rows: int) -> None:
    scores = np.arange(2 * rows, dtype=np.float64)
    drawn = Counts.of(scores % 2 == 0, scores).drawn()
    assert len(drawn) == min(2 * rows, POINTS)
    assert (drawn[0], drawn[-1]) == (0, 2 * rows - 1)


@pytest.mark.parametrize("positive", [[True, True], [False, False], []])
def test_one_class_alone_is_refused(positive: list[bool]) -> None:
    with pytest.raises(DataError, match="FED-232"):
        Counts.of(np.array(positive, bool), np.zeros(len(positive)))


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(score: float) -> None:
    with pytest.raises(DataError, match=r"scores are not finite \(1 rows\)"):
        Counts.of(np.array([True, False]), np.array([0.5, score]))
