"""FATE 1.11's ``callback_param`` says the same as the parameters themselves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.lr_params import LogisticParams
from federatedml.components.tree_params import SecureBoostParams

ALL = (LogisticParams, HomoLogisticParams, SecureBoostParams)
STOPS = {"callbacks": ["EarlyStopping", "PerformanceEvaluate"], "validation_freqs": 2, "early_stopping_rounds": 3}


@pytest.mark.parametrize("params", ALL)
def test_it_is_taken_apart(params: Any) -> None:
    told = {**STOPS, "metrics": ["auc"], "use_first_metric_only": True, "save_freq": 1}
    p = params.model_validate({"callback_param": told})
    assert (p.validation_freqs, p.early_stopping_rounds, list(p.metrics)) == (2, 3, ["auc"])
    assert p.use_first_metric_only
    assert p == params.model_validate(
        {"validation_freqs": 2, "early_stopping_rounds": 3, "metrics": ["auc"], "use_first_metric_only": True}
    )


@pytest.mark.parametrize("params", ALL)
def test_defaults_of_fate_change_nothing(params: Any) -> None:
    told = {"callbacks": [], "validation_freqs": None, "early_stopping_rounds": None, "metrics": None, "save_freq": 1}
    assert params.model_validate({"callback_param": {**told, "use_first_metric_only": False}}) == params()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"callback_param": {"early_stopping_rounds": 3}}, "no effect without 'EarlyStopping'"),
        ({"callback_param": {"validation_freqs": 3, "callbacks": ["EarlyStopping"]}}, "without 'PerformanceEvaluate'"),
        ({"callback_param": {"callbacks": ["Shout"]}}, "allowed: a list of EarlyStopping"),
        ({"callback_param": {"callbacks": [["EarlyStopping"]]}}, "allowed: a list of EarlyStopping"),
        ({"callback_param": {"callbacks": "EarlyStopping"}}, "allowed: a list of EarlyStopping"),
        ({"callback_param": {"patience": 3}}, "callback_param.patience is not known"),
        ({"callback_param": STOPS, "validation_freqs": 1}, "validation_freqs is given in callback_param and beside it"),
        ({"callback_param": {**STOPS, "validation_freqs": 0}}, "greater than or equal to 1"),
        ({"callback_param": 3}, "callback_param"),
    ],
)
def test_what_it_cannot_say_is_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        LogisticParams.model_validate(given)
