"""Parameters of the evaluation: FATE's names of metrics, and which of them belong to which kind of prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from federatedml.component import Params
from federatedml.metrics.regression import MEASURES

BINARY = (
    "auc", "ks", "roc", "lift", "gain", "accuracy", "precision", "recall", "f1_score", "confusion_mat", "quantile_pr",
    "psi",
)  # fmt: skip
KNOWN: Mapping[str, Sequence[str]] = {
    "binary": BINARY,
    "multi": ("accuracy", "precision", "recall", "confusion_mat"),
    "regression": tuple(MEASURES),
}
USUAL: Mapping[str, Sequence[str]] = {**KNOWN, "binary": BINARY[:8]}
ALIASES: Mapping[str, str] = {
    "acc": "accuracy",
    **dict.fromkeys(("l1", "mae", "regression_l1"), "mean_absolute_error"),
    **dict.fromkeys(("l2", "mse", "regression"), "mean_squared_error"),
    **dict.fromkeys(("l2_root", "rmse"), "root_mean_squared_error"),
    "msle": "mean_squared_log_error",
    "r2": "r2_score",
}


class EvaluateParams(Params):
    """FATE's parameters."""

    eval_type: Literal["binary", "multi", "regression"] = Field("binary", description="what is predicted")
    pos_label: int | float | str = Field(1, description="label of the positive class, for eval_type 'binary'")
    metrics: list[str] | None = Field(
        None,
        description="by FATE's names or their short forms; null: auc, ks and the curves roc, ks, lift, gain, accuracy, "
        "precision, recall ('binary'), all ('multi', 'regression')",
    )
    unfold_multi_result: bool = Field(
        False, description="for eval_type 'multi': each class against the rest besides, as 'binary'"
    )
    need_run: bool = Field(True, description="false: do nothing")

    @field_validator("eval_type", mode="before")
    @classmethod
    def _supported(cls, value: Any) -> Any:
        if value == "clustering":
            raise ValueError("'clustering' is not offered: there is no module that clusters")
        return value

    @field_validator("metrics")
    @classmethod
    def _by_full_names(cls, given: list[str] | None) -> list[str] | None:
        return None if given is None else list(dict.fromkeys(ALIASES.get(name, name) for name in map(str.lower, given)))

    @model_validator(mode="after")
    def _known(self) -> EvaluateParams:
        unknown = [name for name in self.metrics or () if name not in KNOWN[self.eval_type]]
        if unknown or self.metrics == []:
            allowed = ", ".join(KNOWN[self.eval_type])
            raise ValueError(f"metrics {unknown} for eval_type {self.eval_type!r}: allowed are {allowed}")
        return self

    @property
    def wanted(self) -> Sequence[str]:
        """Names of the metrics to compute."""
        return USUAL[self.eval_type] if self.metrics is None else self.metrics
