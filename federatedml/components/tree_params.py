"""Parameters of FATE's HeteroSecureBoost: its names and the defaults that take effect there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from federatedml.component import Params
from federatedml.components.callback_params import Watched
from federatedml.components.column_choice import lower_case
from federatedml.components.cross_validation import CvParam
from federatedml.components.lr_params import Built, EncryptedModeParam, EncryptParam, PredictParam
from federatedml.crypto.choice import PLANNED_COLUMNS, PLANNED_PLACE

MOST_LEAVES_DEPTH = 15  # a level of 2^14 nodes

Metric = Literal["auc", "ks", "loss", "accuracy", "root_mean_squared_error", "mean_absolute_error"]
METRICS: Mapping[str, tuple[Metric, ...]] = {
    "binary": ("auc", "ks", "loss"),
    "multi": ("accuracy", "loss"),
    "regression": ("root_mean_squared_error", "mean_absolute_error", "loss"),
}


def _regularisation(value: Any) -> Any:
    """FATE 1.11 also writes ``{"l1": 0, "l2": 0.1}``."""
    if isinstance(value, Mapping):
        if set(value) != {"l1", "l2"}:
            raise ValueError(f"{', '.join(map(repr, value))} given; allowed: a list [l2] or [l2, l1], or l1 and l2")
        return [value["l2"], value["l1"]]
    return value


def _not_negative(values: list[float]) -> list[float]:
    if any(value < 0 for value in values):
        raise ValueError("a negative regularisation is given; allowed: at least 0")
    return values


def _as_count(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


class TreeParam(Params):
    """How one tree grows."""

    aliases: ClassVar[Mapping[str, str]] = {"min_imputiry_split": "min_impurity_split"}

    criterion_method: Annotated[Literal["xgboost"], BeforeValidator(lower_case)] = Field(
        default="xgboost", description="gain of a split: GL^2/(HL+l2) + GR^2/(HR+l2) - G^2/(H+l2), G reduced by l1"
    )
    criterion_params: Annotated[list[float], BeforeValidator(_regularisation), AfterValidator(_not_negative)] = Field(
        default=[0.1],
        min_length=1,
        max_length=2,
        description="[l2], or [l2, l1]: regularisation of leaf values (XGBoost's reg_lambda and reg_alpha)",
    )
    max_depth: int = Field(default=5, ge=1, le=MOST_LEAVES_DEPTH, description="levels of splits")
    min_sample_split: int = Field(
        default=2, ge=1, description="rows of a node that is split", json_schema_extra={"unit": "rows"}
    )
    min_leaf_node: int = Field(
        default=1, ge=1, description="rows of each child of a split", json_schema_extra={"unit": "rows"}
    )
    min_child_weight: float = Field(
        default=1.0,
        ge=0,
        description="sum of second derivatives of each child of a split",
        json_schema_extra={"fate": "absent in 1.0, 1 in 1.11"},
    )
    min_impurity_split: float = Field(default=1e-3, ge=0, description="gain that a split must exceed")
    max_split_nodes: int = Field(
        default=1024, ge=1, le=65536, description="nodes of a level in one message; here all of them, whatever it says"
    )
    feature_importance_type: Annotated[Literal["split", "gain"], BeforeValidator(lower_case)] = Field(
        default="split", description="importance of a feature: number of its splits, or the sum of their gains"
    )

    @property
    def l2(self) -> float:
        """Added to the second derivatives of a node."""
        return self.criterion_params[0]

    @property
    def l1(self) -> float:
        """Taken off the absolute gradient of a node."""
        return self.criterion_params[1] if len(self.criterion_params) > 1 else 0.0


class ObjectiveParam(Params):
    """What the trees minimise."""

    objective: Annotated[
        Literal["cross_entropy", "lse", "lae", "huber", "fair", "tweedie", "log_cosh"] | None,
        BeforeValidator(lower_case),
    ] = Field(
        default=None,
        description="loss; null: cross_entropy for classification, lse for regression. Only the guest needs it",
        json_schema_extra={"fate": "cross_entropy"},
    )
    params: list[float] | None = Field(
        default=[1.5],
        min_length=1,
        description="first: huber's delta, fair's c (above 0), or tweedie's power (at least 1, below 2)",
    )


class SecureBoostParams(Watched):
    """FATE's HeteroSecureBoostParam and the choice of the protocol."""

    protocol: Literal["auto", "shared", "paillier"] = Field(
        default="auto",
        description="auto: 'paillier' if encrypt_param.method is set, the job has no arbiter, or the trees are so few "
        f"for their bins that it is faster for a host of {PLANNED_COLUMNS} columns with {PLANNED_PLACE.cores} cores on "
        f"a line of {PLANNED_PLACE.bits_per_second / 1e9:g} Gbit/s, whatever the job's are; else 'shared'",
        json_schema_extra={"fate": "absent"},
    )
    task_type: Annotated[Literal["classification", "regression"], BeforeValidator(lower_case)] = Field(
        default="classification", description="what the label is"
    )
    tree_param: TreeParam = Field(default=TreeParam(), description="how one tree grows")
    objective_param: ObjectiveParam = Field(default=ObjectiveParam(), description="what the trees minimise")
    learning_rate: float = Field(default=0.1, gt=0, le=10, description="factor of leaf values")
    num_trees: int = Field(
        default=2,
        ge=1,
        le=10_000,
        description="most rounds; a round grows one tree, of several classes one for each",
        json_schema_extra={"unit": "rounds"},
    )
    subsample_feature_rate: float = Field(
        default=1.0, gt=0, le=1, description="share of its columns that each party uses in a tree, drawn anew"
    )
    n_iter_no_change: bool = Field(default=False, description="stop when the loss changes by less than tol")
    tol: float = Field(default=1e-4, gt=0, description="change of the loss that stops the training")
    bin_num: int = Field(default=50, ge=2, le=1024, description="bins of a column, by quantiles")
    binning_error: float = Field(default=1e-4, ge=0, lt=1, description="FATE's error of quantiles; ours are exact")
    min_cell_rows: int = Field(
        default=20,
        ge=1,
        description="hosts merge bins until each has so many rows, and are asked about nodes of at least twice as many "
        "only (weighed ones as (sum w)^2 / sum w^2): sums of fewer rows name them",
        json_schema_extra={"unit": "rows", "fate": "absent"},
    )
    use_missing: bool = Field(default=False, description="splits send rows without a value where that is better")
    zero_as_missing: bool = Field(default=False, description="a zero is no value; needs use_missing")
    complete_secure: Annotated[int, BeforeValidator(_as_count)] = Field(
        default=0, ge=0, description="how many first rounds use the guest's columns only (true: one)"
    )
    run_goss: bool = Field(
        default=False, description="each round takes the rows with the largest gradients and some of the others"
    )
    top_rate: float = Field(default=0.2, gt=0, lt=1, description="run_goss: share of rows with the largest gradients")
    other_rate: float = Field(default=0.1, gt=0, lt=1, description="run_goss: share of rows drawn from the others")
    random_seed: int = Field(default=100, ge=0, lt=2**32, description="seed of samples of rows and columns")
    sample_weight_name: str | None = Field(
        default=None, max_length=256, description="column of the guest with the weights of rows; it is no feature"
    )
    validation_freqs: int | None = Field(
        default=None, ge=1, description="look at eval_data every so many rounds", json_schema_extra={"unit": "rounds"}
    )
    early_stopping_rounds: int | None = Field(
        default=None,
        ge=1,
        description="stop if a metric on eval_data got no better in so many looks; keep the best model",
    )
    metrics: list[Metric] | None = Field(
        default=None, min_length=1, description="what is looked at on eval_data; null: what suits the task"
    )
    use_first_metric_only: bool = Field(default=False, description="only the first of metrics may stop the training")
    encrypt_param: EncryptParam = Field(default=EncryptParam(), description="homomorphic encryption")
    encrypted_mode_calculator_param: EncryptedModeParam = Field(
        default=EncryptedModeParam(), description="reuse of ciphertexts"
    )
    cipher_compress: Annotated[bool, Built((True,))] = Field(
        default=True, description="protocol 'paillier': several sums in one ciphertext"
    )
    boosting_strategy: Annotated[str, Built(("std",))] = Field(
        default="std", description="which party's columns a tree may use: those of all"
    )
    multi_mode: Annotated[str, Built(("single_output",))] = Field(
        default="single_output", description="one tree for each class"
    )
    EINI_inference: Annotated[bool, Built((False,))] = Field(
        default=False, description="FATE's other prediction; ours takes one round as well"
    )
    need_run: bool = Field(default=True, description="false passes the data through")
    predict_param: PredictParam = Field(default=PredictParam(), description="prediction")
    cv_param: CvParam = Field(default=CvParam(), description="cross validation")

    @model_validator(mode="after")
    def _objective_of_the_task(self) -> SecureBoostParams:
        allowed = [name for name in OBJECTIVES if (name == "cross_entropy") == (self.task_type == "classification")]
        name = self.objective_param.objective
        if name is not None and name not in allowed:
            raise ValueError(
                f"objective_param.objective {name!r} is not for {self.task_type}; allowed: {', '.join(allowed)}"
            )
        least, most = OBJECTIVES[self.objective]
        params = self.objective_param.params
        if most and (not params or not (least <= params[0] < most and params[0] > 0)):
            raise ValueError(f"objective {self.objective!r} needs objective_param.params[0] from {least:g} to {most:g}")
        return self

    @model_validator(mode="after")
    def _together(self) -> SecureBoostParams:
        if self.zero_as_missing and not self.use_missing:
            raise ValueError("zero_as_missing needs use_missing")
        if self.run_goss and self.top_rate + self.other_rate > 1:
            raise ValueError("top_rate and other_rate are more than all rows; allowed: a sum of at most 1")
        if self.metrics is not None and self.task_type == "regression":
            self._check_metrics(METRICS["regression"])
        return self

    def _check_metrics(self, allowed: tuple[Metric, ...]) -> None:
        wrong = [name for name in self.metrics or () if name not in allowed]
        if wrong:
            raise ValueError(f"metrics {', '.join(wrong)} are not for this task; allowed: {', '.join(allowed)}")

    @property
    def method_is_set(self) -> bool:
        """Whether the submitted conf itself names the encryption: it chose protocol 'paillier'."""
        return "encrypt_param" in self.model_fields_set and "method" in self.encrypt_param.model_fields_set

    @property
    def objective(self) -> str:
        """The loss, by name."""
        default = "cross_entropy" if self.task_type == "classification" else "lse"
        return self.objective_param.objective or default

    @property
    def validates(self) -> int:
        """Every how many rounds ``eval_data`` is looked at during training; 0 is never."""
        return self.validation_freqs or int(self.early_stopping_rounds is not None)


# losses -> least of their parameter, and what it stays below; 0 is none
OBJECTIVES: Mapping[str, tuple[float, float]] = {
    "cross_entropy": (0.0, 0.0),
    "lse": (0.0, 0.0),
    "lae": (0.0, 0.0),
    "log_cosh": (0.0, 0.0),
    "huber": (0.0, 1e9),
    "fair": (0.0, 1e9),
    "tweedie": (1.0, 2.0),
}
