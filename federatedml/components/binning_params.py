"""Parameters of HeteroFeatureBinning: FATE's names and the defaults that take effect there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from federatedml.component import Params
from federatedml.components.lr_params import EncryptParam

MOST_BINS = 10_000
LEAST_ROWS = 20  # of a bin of a host
Positions = Literal[-1] | list[Annotated[int, Field(ge=0)]]
NAMES: dict[str, Any] = {"unit": "column names"}


def _method(value: Any) -> Any:
    if value == "optimal":
        raise ValueError("'optimal' joins a host's bins by the labels and is not offered; allowed: quantile, bucket")
    return value


class BinningTransformParam(Params):
    """What the output data hold."""

    transform_cols: Positions = Field(
        default=-1, description="positions of the columns that change; -1: all that have bins"
    )
    transform_names: list[str] = Field(default=[], description="the same by name", json_schema_extra=NAMES)
    transform_type: Literal["bin_num", "woe"] | None = Field(
        default="bin_num",
        description="bin_num: the number of the bin; woe: its weight of evidence (guest only: a host learns none); "
        "null: values stay as they are",
    )

    @model_validator(mode="before")
    @classmethod
    def _named_only(cls, given: Any) -> Any:
        return named_only(given, "transform_names", "transform_cols")


def named_only(given: Any, names: str, *positions: str) -> Any:
    """Without positions in the conf, names alone count."""
    if isinstance(given, Mapping) and given.get(names) and not any(name in given for name in positions):
        return {**given, positions[0]: []}
    return given


class FeatureBinningParams(Params):
    """FATE's FeatureBinningParam and the choice of the protocol."""

    aliases: ClassVar[Mapping[str, str]] = {"bin_indexes": "cols"}

    protocol: Literal["auto", "shared", "paillier"] = Field(
        default="auto",
        description="auto: 'paillier' if encrypt_param.method is set, or the job has no arbiter that is a party apart; "
        "else 'shared', with the arbiter as dealer. Of half its rows a host's table spends 32 bits per bin in a job "
        "under 'shared', under 'paillier' 1 + bits of the number of rows: tables below 64 rows need 'paillier'",
        json_schema_extra={"fate": "absent"},
    )
    method: Annotated[Literal["quantile", "bucket"], BeforeValidator(_method)] = Field(
        default="quantile", description="quantile: bins of as many rows each; bucket: bins of the same width"
    )
    compress_thres: int = Field(default=10_000, ge=1, description="of FATE's sketch; no effect, quantiles are exact")
    head_size: int = Field(default=10_000, ge=1, description="of FATE's sketch; no effect, quantiles are exact")
    error: float = Field(default=0.001, ge=0, lt=1, description="of FATE's sketch; no effect, quantiles are exact")
    bin_num: int = Field(
        default=10, ge=2, le=MOST_BINS, description="most bins of a column", json_schema_extra={"unit": "bins"}
    )
    cols: Positions = Field(default=-1, description="positions of the columns to bin, among the features; -1: all")
    bin_names: list[str] = Field(default=[], description="columns to bin by name", json_schema_extra=NAMES)
    category_indexes: Positions = Field(
        default=[], description="positions of columns with a bin for each value; -1: all that are binned"
    )
    category_names: list[str] = Field(default=[], description="the same by name", json_schema_extra=NAMES)
    adjustment_factor: float = Field(
        default=0.5, gt=0, le=1000, description="added to both counts of a bin that has no event or no other row"
    )
    min_bin_rows: int = Field(
        default=LEAST_ROWS,
        ge=1,
        le=1_000_000,
        description="rows that each bin of a host has at least; smaller ones are joined before the guest hears of them",
        json_schema_extra={"unit": "rows", "fate": "absent"},
    )
    transform_param: BinningTransformParam = Field(default=BinningTransformParam(), description="the output data")
    local_only: bool = Field(default=False, description="the guest bins its own columns, hosts do nothing")
    skip_static: bool = Field(default=False, description="bins only: no counts, no WOE, no IV, and no messages")
    encrypt_param: EncryptParam = Field(default=EncryptParam(), description="homomorphic encryption")
    need_run: bool = Field(default=True, description="false passes the data through")

    @model_validator(mode="before")
    @classmethod
    def _named_only(cls, given: Any) -> Any:
        return named_only(given, "bin_names", "cols", "bin_indexes")

    @model_validator(mode="after")
    def _evidence(self) -> FeatureBinningParams:
        if self.skip_static and self.transform_param.transform_type == "woe":
            raise ValueError("transform_type 'woe' needs the statistics that skip_static leaves out")
        return self

    @property
    def exchanges(self) -> bool:
        """Whether the parties talk to each other."""
        return self.need_run and not self.local_only and not self.skip_static
