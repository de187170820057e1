"""FATE 1.11 puts what watches a training into ``callback_param``; here each is a parameter by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from federatedml.component import Params

NEEDS = {  # parameter -> the callback without which FATE does not look at it
    "validation_freqs": "PerformanceEvaluate",
    "early_stopping_rounds": "EarlyStopping",
    "use_first_metric_only": "EarlyStopping",
}
CALLBACKS = ("EarlyStopping", "PerformanceEvaluate", "ModelCheckpoint")
FREE = ("callbacks", "metrics", "save_freq")  # a checkpoint is stored in every round, whatever save_freq says


class Watched(Params):
    """Parameters of a component that looks at ``eval_data`` while it trains."""

    @model_validator(mode="before")
    @classmethod
    def _from_callbacks(cls, given: Any) -> Any:
        """Take ``callback_param`` apart."""
        if not isinstance(given, Mapping) or not isinstance(given.get("callback_param"), Mapping):
            return given
        told, rest = given["callback_param"], {name: v for name, v in given.items() if name != "callback_param"}
        _check(told, rest)
        moved = {name: value for name, value in told.items() if name not in ("callbacks", "save_freq")}
        return {**rest, **{name: value for name, value in moved.items() if value is not None}}


def _check(told: Mapping[str, Any], rest: Mapping[str, Any]) -> None:
    unknown = sorted(set(told) - {*NEEDS, *FREE})
    if unknown:
        raise ValueError(f"callback_param.{unknown[0]} is not known; allowed: {', '.join((*NEEDS, *FREE))}")
    twice = sorted(set(told) & set(rest))
    if twice:
        raise ValueError(f"{twice[0]} is given in callback_param and beside it: give one of them")
    callbacks = told.get("callbacks") or []
    if not isinstance(callbacks, list) or any(name not in CALLBACKS for name in callbacks):
        raise ValueError(f"callback_param.callbacks are {callbacks!r}; allowed: a list of {', '.join(CALLBACKS)}")
    for name, callback in NEEDS.items():
        if told.get(name) and callback not in callbacks:
            raise ValueError(f"callback_param.{name} has no effect without {callback!r} in callback_param.callbacks")
