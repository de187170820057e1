"""Parameters of FATE's logistic regressions: its names and the defaults that take effect there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from federatedml.component import Params
from federatedml.components.callback_params import Watched
from federatedml.components.column_choice import lower_case
from federatedml.components.cross_validation import CvParam
from federatedml.components.one_vs_rest import OneVsRestParam
from federatedml.crypto.choice import for_linear


@dataclass(frozen=True)
class Built:
    """Marks a field of which only some of FATE's values can run; the others are refused by name.

    Attributes:
        why: they are; as a rule because nobody has built them yet.
    """

    values: tuple[str | bool | float, ...]
    why: str = "is not available yet"

    def check(self, value: Any) -> Any:
        """The value, if it can run."""
        if value not in self.values:
            raise ValueError(f"{value!r} {self.why}; allowed: {', '.join(map(repr, self.values))}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(core), "enum": list(self.values)}


ADAPTIVE = ("rmsprop", "adam", "adagrad")  # they divide by roots of squared gradients


def _penalty(value: Any) -> Any:
    return "NONE" if value is None else value.upper() if isinstance(value, str) else value


def _optimizer(value: Any) -> Any:
    value = lower_case(value)
    if value in ("sqn", "stochasticquansinewton", "stochasticquasinewton"):
        raise ValueError(
            f"{value!r}: stochastic quasi-Newton needs gradients of all parties in one place, which nobody has here; "
            "allowed: sgd, rmsprop, adam, adagrad, nesterov_momentum_sgd"
        )
    return value


def encryption(value: Any) -> Any:
    """FATE's name of Paillier in any case; what is no encryption is refused by name."""
    known = value.lower() if isinstance(value, str) else ""
    if "affine" in known:
        raise ValueError(f"{value!r} is broken: the keys of an affine cipher follow from its ciphertexts; use Paillier")
    if known in ("plain", "none", "fake"):
        raise ValueError(f"{value!r} encrypts nothing: the arbiter and the peers would read each row; use Paillier")
    return "Paillier" if known == "paillier" else value


def _batch_size(value: int) -> int:
    if value != -1 and value < 10:
        raise ValueError(f"{value} rows are too few; allowed: -1 (all rows), or at least 10")
    return value


class InitParam(Params):
    """How weights start."""

    init_method: Literal["random_normal", "random_uniform", "ones", "zeros", "const"] = Field(
        default="random_normal", description="distribution of the first weights; each party draws its own"
    )
    init_const: float = Field(default=1.0, ge=-100, le=100, description="value for init_method 'const'")
    fit_intercept: bool = Field(default=True, description="whether the guest fits an intercept")
    random_seed: int | None = Field(default=None, ge=0, lt=2**32, description="seed of the first weights; null is 0")


class EncryptParam(Params):
    """Homomorphic encryption, for protocol 'paillier'."""

    method: Annotated[Literal["Paillier"], BeforeValidator(encryption)] = Field(
        default="Paillier", description="to set it selects protocol 'paillier'"
    )
    key_length: Literal[1024, 2048, 3072, 4096] = Field(
        default=2048, description="modulus", json_schema_extra={"unit": "bit", "fate": 1024}
    )


class EncryptedModeParam(Params):
    """How FATE reuses ciphertexts. Ours are fresh each time, whatever it says: every mode runs as 'strict'."""

    mode: Literal["strict", "fast", "balance", "confusion_opt", "confusion_opt_balance"] = Field(
        default="strict", description="reuse of ciphertexts; every mode runs as strict"
    )
    re_encrypted_rate: float = Field(default=1.0, ge=0, le=1, description="share of ciphertexts made anew")


class PredictParam(Params):
    """Prediction."""

    with_proba: bool = Field(
        default=True, description="no effect, as in FATE: a table of predictions always has the probabilities"
    )
    threshold: float = Field(default=0.5, ge=0, le=1, description="probability above which the result is 1")


class LogisticTraining(Watched):
    """What FATE's LogisticParam says of HeteroLR and HomoLR alike."""

    aliases: ClassVar[Mapping[str, str]] = {"tol": "eps", "early_stop": "converge_func"}

    penalty: Annotated[Literal["L2", "L1", "NONE"], BeforeValidator(_penalty)] = Field(
        default="L2",
        description="regularisation: a step also takes off learning_rate * alpha * weight (intercept free)",
    )
    eps: float = Field(default=1e-5, gt=0, description="training stops when converge_func is below it")
    alpha: float = Field(default=0.01, ge=0, le=1000, description="strength of the penalty")
    optimizer: Annotated[
        Literal["sgd", "rmsprop", "adam", "adagrad", "nesterov_momentum_sgd"], BeforeValidator(_optimizer)
    ] = Field(default="sgd", description="optimiser")
    party_weight: float = Field(default=1, gt=0, le=1e6, description="weight of the party's model (HomoLR)")
    batch_size: Annotated[int, AfterValidator(_batch_size)] = Field(
        default=320, ge=-1, description="rows per batch, -1 for all", json_schema_extra={"unit": "rows"}
    )
    learning_rate: float = Field(default=0.01, gt=0, le=10, description="step size")
    init_param: InitParam = Field(default=InitParam(), description="first weights")
    max_iter: int = Field(default=100, ge=1, le=10_000, description="most epochs", json_schema_extra={"unit": "epochs"})
    decay: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="the rate of epoch t (from 0) is divided by 1 + decay t",
        json_schema_extra={"fate": "absent in 1.0, 1 in 1.11"},
    )
    decay_sqrt: bool = Field(
        default=True, description="divide by the root of that", json_schema_extra={"fate": "absent in 1.0"}
    )
    converge_func: Annotated[Literal["diff", "weight_diff", "abs"], BeforeValidator(lower_case)] = Field(
        default="diff", description="diff: change of the loss; abs: the loss itself; weight_diff: change of the weights"
    )
    class_weight: Literal["balanced"] | dict[str, float] | None = Field(
        default=None,
        description="weight of the rows of each label value, or 'balanced': rows / (2 * rows of that value)",
    )
    sample_weight_name: str | None = Field(
        default=None,
        max_length=256,
        description="column with the weights of rows (HeteroLR: of the guest); it is no feature",
    )
    validation_freqs: int | None = Field(
        default=None, ge=1, description="look at eval_data every so many epochs", json_schema_extra={"unit": "epochs"}
    )
    early_stopping_rounds: int | None = Field(
        default=None,
        ge=1,
        description="stop if a metric on eval_data got no better in so many looks; keep the best model",
    )
    metrics: list[Literal["auc", "ks", "loss"]] = Field(
        default=["auc", "ks"], min_length=1, description="what is looked at on eval_data"
    )
    use_first_metric_only: bool = Field(default=False, description="only the first of metrics may stop the training")
    re_encrypt_batches: int = Field(default=2, ge=1, description="HomoLR: batches between re-encryptions")
    need_run: bool = Field(default=True, description="false passes the data through")
    predict_param: PredictParam = Field(default=PredictParam(), description="prediction")
    cv_param: CvParam = Field(default=CvParam(), description="cross validation")
    one_vs_rest_param: OneVsRestParam = Field(default=OneVsRestParam(), description="more than two classes")

    @model_validator(mode="after")
    def _contracting(self) -> Self:
        if self.penalty == "L2" and self.learning_rate * self.alpha > 1:
            raise ValueError("learning_rate * alpha is above 1: every step would turn the weights' sign")
        return self

    @model_validator(mode="after")
    def _weights_of_known_classes(self) -> Self:
        if self.one_vs_rest_param.need_one_vs_rest and isinstance(self.class_weight, Mapping):
            raise ValueError(
                "class_weight by label value with need_one_vs_rest: each class is trained as 1 against 0, which are no "
                "values of the label; allowed: 'balanced', or sample_weight_name"
            )
        return self

    @property
    def shrinkage(self) -> float:
        """What a step takes off a weight, relative to it, before the rate decays."""
        return self.learning_rate * self.alpha if self.penalty == "L2" else 0.0

    @property
    def weighs_rows(self) -> bool:
        """Whether rows have weights."""
        return self.class_weight is not None or self.sample_weight_name is not None

    @property
    def in_fold(self) -> bool:
        """Whether a training is a fold of a cross validation: it opens scores of ``eval_data``, and no weights."""
        return self.cv_param.need_cv

    @property
    def validates(self) -> int:
        """Every how many epochs ``eval_data`` is looked at during training; 0 is never."""
        return self.validation_freqs or int(self.early_stopping_rounds is not None)


class LogisticParams(LogisticTraining):
    """FATE's LogisticParam for HeteroLR, and the choice of the protocol."""

    protocol: Literal["auto", "shared", "paillier"] = Field(
        default="auto",
        description="auto: 'paillier' exactly if encrypt_param.method is set, else 'shared'",
        json_schema_extra={"fate": "absent"},
    )
    penalty: Annotated[Literal["L2", "L1", "NONE"], BeforeValidator(_penalty)] = Field(
        default="L2",
        description="regularisation: a step also takes off learning_rate * alpha * weight (intercept free); L1 needs "
        "weights in clear at their owner: protocol 'paillier', or optimizer rmsprop, adam, adagrad",
    )
    party_weight: float = Field(default=1, gt=0, le=1e6, description="no effect: of HomoLR")
    shuffle: bool = Field(
        default=False,
        description="rows are mixed once, by their ids, and batches stay the same in all epochs; true only with "
        "batch_size -1, where there is one batch",
        json_schema_extra={"fate": "absent in 1.0, true in 1.11"},
    )
    batch_strategy: Annotated[str, Built(("full",), why="draws batches anew in each epoch, which is not offered")] = (
        Field(default="full", description="each row is in one batch of an epoch")
    )
    masked_rate: float | None = Field(
        default=None, ge=0, description="no effect: of batch_strategy 'random'", json_schema_extra={"fate": 5}
    )
    floating_point_precision: int | None = Field(
        default=None,
        ge=0,
        le=63,
        description="no effect: the protocol chooses how exact its numbers are, see feature_bits",
        json_schema_extra={"fate": 23, "unit": "bit"},
    )
    batch_rows_per_column: float = Field(
        default=10.0,
        ge=0,
        le=1000,
        description="protocol 'paillier' or optimizer rmsprop, adam, adagrad: rows that each batch has at least per "
        "column of a party, and rows of each batch that a column tells of, and a tenth of it rows of each class per "
        "column of a host; with fewer a party can solve its gradients for the others' rows (weighed rows count as "
        "sum w^2 / max w^2)",
        json_schema_extra={"unit": "rows per column", "fate": "absent"},
    )
    feature_bits: int = Field(
        default=16,
        ge=8,
        le=24,
        description="protocol 'paillier': bits that gradients are computed with of each feature; fewer are faster",
        json_schema_extra={"unit": "bit", "fate": "absent"},
    )
    encrypt_param: EncryptParam = Field(default=EncryptParam(), description="homomorphic encryption")
    encrypted_mode_calculator_param: EncryptedModeParam = Field(
        default=EncryptedModeParam(), description="reuse of ciphertexts"
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_protocol(cls, given: Any) -> Any:
        """Fix ``auto``, so that effective parameters name the protocol that runs."""
        if not isinstance(given, Mapping) or given.get("protocol", "auto") != "auto":
            return given
        encrypt = given.get("encrypt_param")
        chosen = isinstance(encrypt, Mapping) and "method" in encrypt
        return {**given, "protocol": for_linear(method_is_set=chosen).value}

    @model_validator(mode="after")
    def _same_batches(self) -> Self:
        if self.shuffle and self.batch_size != -1:
            raise ValueError(
                "shuffle true makes other batches in each epoch, which is not offered; allowed: false (rows are mixed "
                "once, by their ids), or batch_size -1"
            )
        return self

    @model_validator(mode="after")
    def _known_to_the_protocol(self) -> Self:
        if self.protocol == "shared" and self.penalty == "L1" and self.optimizer not in ADAPTIVE:
            raise ValueError(
                "penalty 'L1' needs weights in clear at their owner: under protocol 'shared' only with optimizer "
                + ", ".join(ADAPTIVE)
            )
        return self
