"""Parameters of HeteroFeatureSelection: FATE's names and the defaults that take effect there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from federatedml.component import Params
from federatedml.components.binning_params import NAMES, Positions, named_only

ABSENT = {
    "vif_filter": "variance inflation factors are",
    "correlation_filter": "correlations over parties are",
    "psi_filter": "population stability indices are",
    "hetero_sbt_filter": "importances of a tree model are",
    "homo_sbt_filter": "importances of a tree model are",
    "hetero_fast_sbt_filter": "importances of a tree model are",
}
BY_IV = ("iv_value_thres", "iv_percentile", "iv_top_k", "iv_filter")
Method = Literal[
    "manually",
    "unique_value",
    "iv_filter",
    "iv_value_thres",
    "iv_percentile",
    "iv_top_k",
    "coefficient_of_variation_value_thres",
    "outlier_cols",
    "percentage_value",
    "statistic_filter",
]


def _method(value: Any) -> Any:
    if isinstance(value, str) and value in ABSENT:
        raise ValueError(f"{value!r}: {ABSENT[value]} not available yet")
    return value


def _one(value: Any) -> Any:
    """FATE 1.11 takes a value, or a list with it."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


class UniqueParam(Params):
    """Columns that hardly vary."""

    eps: float = Field(default=1e-5, ge=0, description="least difference of largest and smallest value")


class IvValueParam(Params):
    """IV, by a threshold."""

    value_threshold: float = Field(default=0.0, ge=0, description="a column stays if its IV is as much")
    host_thresholds: list[Annotated[float, Field(ge=0)]] | None = Field(
        default=None,
        description="other thresholds for the hosts' columns, one for each host in the order of their ids as text",
    )
    local_only: bool = Field(default=False, description="only the guest's columns are judged")


class IvPercentileParam(Params):
    """IV, by rank among the columns of all parties."""

    percentile_threshold: float = Field(default=1.0, gt=0, le=1, description="share of all columns that stays")
    local_only: bool = Field(default=False, description="only the guest's columns are judged")


class IvTopKParam(Params):
    """IV, by number."""

    k: int = Field(
        default=10, ge=1, description="how many columns of all parties stay", json_schema_extra={"unit": "columns"}
    )
    local_only: bool = Field(default=False, description="only the guest's columns are judged")


class IvFilterParam(Params):
    """IV, by FATE 1.11's names."""

    metrics: Annotated[Literal["iv"], BeforeValidator(_one)] = Field(default="iv", description="what decides")
    filter_type: Annotated[Literal["threshold", "top_k", "top_percentile"], BeforeValidator(_one)] = Field(
        default="threshold", description="what threshold means"
    )
    take_high: Annotated[Literal[True], BeforeValidator(_one)] = Field(default=True, description="high IVs stay")
    threshold: Annotated[float, BeforeValidator(_one)] = Field(
        default=1.0, ge=0, description="least IV, number of columns or share of columns that stay"
    )
    host_thresholds: list[Annotated[float, Field(ge=0)]] | None = Field(
        default=None, description="with filter_type 'threshold': others for the hosts' columns, as in iv_value_param"
    )
    select_federated: Annotated[bool, BeforeValidator(_one)] = Field(
        default=True, description="false: only the guest's columns are judged"
    )

    @model_validator(mode="after")
    def _threshold_fits(self) -> Self:
        if self.filter_type == "top_k" and (self.threshold < 1 or self.threshold != int(self.threshold)):
            raise ValueError(f"threshold {self.threshold:g} is no number of columns, which filter_type 'top_k' needs")
        if self.filter_type == "top_percentile" and not 0 < self.threshold <= 1:
            raise ValueError(f"threshold {self.threshold:g} is no share above 0 and up to 1, as 'top_percentile' needs")
        return self


class VarianceCoeParam(Params):
    """Spread beside the mean."""

    value_threshold: float = Field(default=1.0, ge=0, description="least |standard deviation / mean|")


class OutlierParam(Params):
    """Large values."""

    percentile: float = Field(default=1.0, gt=0, le=1, description="quantile that is looked at")
    upper_threshold: float = Field(default=1.0, description="a column stays if the quantile is below")


class PercentageParam(Params):
    """Columns that are nearly one value."""

    upper_pct: float = Field(default=1.0, ge=0.1, le=1, description="largest share of the usual value")


class StatisticParam(Params):
    """Columns by a number of the isometric_model of Statistics."""

    metrics: Annotated[str, BeforeValidator(_one)] = Field(
        default="mean", max_length=64, description="name of the statistic, as Statistics was told it"
    )
    filter_type: Annotated[Literal["threshold", "top_k", "top_percentile"], BeforeValidator(_one)] = Field(
        default="threshold", description="what threshold means"
    )
    take_high: Annotated[bool, BeforeValidator(_one)] = Field(default=True, description="high values stay; or low")
    threshold: Annotated[float, BeforeValidator(_one)] = Field(
        default=1.0, description="least (or largest) value, number of columns or share of columns that stay"
    )


class ManuallyParam(Params):
    """Columns that people name."""

    filter_out_indexes: Positions = Field(default=[], description="positions of columns that go; -1: all")
    filter_out_names: list[str] = Field(default=[], description="the same by name", json_schema_extra=NAMES)
    left_col_indexes: Positions = Field(default=[], description="positions of the only columns that stay; -1: all")
    left_col_names: list[str] = Field(default=[], description="the same by name", json_schema_extra=NAMES)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.filter_out_indexes or self.filter_out_names) and (self.left_col_indexes or self.left_col_names):
            raise ValueError("filter_out_ and left_col_ exclude each other: name what goes, or what stays")
        return self


class FeatureSelectionParams(Params):
    """FATE's FeatureSelectionParam."""

    aliases: ClassVar[Mapping[str, str]] = {"select_col_indexes": "select_cols"}

    filter_methods: list[Annotated[Method, BeforeValidator(_method)]] = Field(
        default=["unique_value"], min_length=1, description="in this order; each judges what the ones before it left"
    )
    select_cols: Positions = Field(default=-1, description="positions of the columns that are judged; -1: all")
    select_names: list[str] = Field(default=[], description="the same by name", json_schema_extra=NAMES)
    local_only: bool = Field(default=False, description="the guest selects among its own columns, hosts do nothing")
    unique_param: UniqueParam = Field(default=UniqueParam(), description="of unique_value")
    iv_value_param: IvValueParam = Field(default=IvValueParam(), description="of iv_value_thres")
    iv_percentile_param: IvPercentileParam = Field(default=IvPercentileParam(), description="of iv_percentile")
    iv_top_k_param: IvTopKParam = Field(default=IvTopKParam(), description="of iv_top_k")
    iv_param: IvFilterParam = Field(default=IvFilterParam(), description="of iv_filter")
    variance_coe_param: VarianceCoeParam = Field(
        default=VarianceCoeParam(), description="of coefficient_of_variation_value_thres"
    )
    outlier_param: OutlierParam = Field(default=OutlierParam(), description="of outlier_cols")
    percentage_value_param: PercentageParam = Field(default=PercentageParam(), description="of percentage_value")
    statistic_param: StatisticParam = Field(default=StatisticParam(), description="of statistic_filter")
    manually_param: ManuallyParam = Field(default=ManuallyParam(), description="of manually")
    need_run: bool = Field(default=True, description="false passes the data through")

    @model_validator(mode="before")
    @classmethod
    def _named_only(cls, given: Any) -> Any:
        return named_only(given, "select_names", "select_cols", "select_col_indexes")
