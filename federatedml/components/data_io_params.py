"""Parameters of ``DataIO`` and ``DataTransform``: FATE's of all versions, and ``columns``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from federatedml.component import Params
from federatedml.data.cells import Method

Tokens = list[str | int | float]
DataType = Literal["float64", "float", "int", "int64", "long", "str"]
Value = float | str
Text = Annotated[str, Field(min_length=1, max_length=8)]


class DataIOParams(Params):
    """FATE's parameters and ``columns``. Tables of parties have typed columns; FATE's are lines of text."""

    input_format: Literal["dense", "sparse", "tag"] = Field(
        "dense",
        description="dense: a column each. Of one column of text: sparse, `label index:value ...` (libsvm); tag, "
        "`label tag ...`. The label only with with_label",
    )
    delimitor: Text = Field(",", description="between the entries of a line, for sparse and tag; a space for libsvm")
    data_type: DataType = Field(
        "float64",
        description="int, int64 and long require whole numbers, stored as float64; "
        "str keeps text, with which no model computes",
    )
    exclusive_data_type: dict[str, DataType] | None = Field(None, description="column -> its own data_type")
    tag_with_value: bool = Field(False, description="of tag: entries are tag:value; otherwise a tag is 1, none is 0")
    tag_value_delimitor: Text = Field(":", description="of tag with values, between both")
    columns: list[str] | None = Field(
        None,
        min_length=1,
        description="use exactly these feature columns; null: all. Of sparse: fid0, fid1, ...",
        json_schema_extra={"fate": "absent"},
    )
    missing_fill: bool = Field(False, description="replace missing values; otherwise they stay missing (NaN)")
    default_value: Value | list[Value] = Field(
        0.0, description="replaces missing values if no method, or designated, is set; a list: one for each column"
    )
    missing_fill_method: Method | None = Field(None, description="of the column's other values; null: default_value")
    missing_impute: Tokens | None = Field(None, description="values that mean missing; null: '', none, null, na")
    outlier_replace: bool = Field(False, description="replace the values that outlier_impute lists")
    outlier_replace_method: Method | None = Field(None, description="as missing_fill_method")
    outlier_impute: Tokens | None = Field(None, description="values that are outliers; null: none")
    outlier_replace_value: Value | list[Value] = Field(
        0.0, description="replaces outliers if no method, or designated, is set; a list: one for each column"
    )
    with_label: bool = Field(True, description="whether this party's table holds the label; hosts set false")
    label_name: str | None = Field(
        "y",
        description="the label's column; null: the one at label_idx. A conf that gives label_idx alone means null",
        json_schema_extra={"fate": "absent in 1.0, which takes label_idx; y in 1.11"},
    )
    label_idx: int = Field(
        0,
        ge=0,
        description="position of the label, the id column not counted, where columns have no names or "
        "label_name is null; of sparse and tag it is the first entry",
    )
    label_type: DataType = Field("int", description="str keeps text, with which no model computes")
    output_format: Literal["dense", "sparse"] = Field(
        "dense", description="no effect: tables hold every value, and absent values of sparse and tag are zeros"
    )
    need_run: bool = Field(True, description="false: pass the table through as it is")

    @model_validator(mode="before")
    @classmethod
    def _label_by_position(cls, data: Any) -> Any:
        """A conf of FATE v1.0 gives ``label_idx`` alone: then it is what counts."""
        if isinstance(data, Mapping) and "label_idx" in data and "label_name" not in data:
            return {**data, "label_name": None}
        return data

    @field_validator("columns")
    @classmethod
    def _distinct(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) != len(value):
            raise ValueError("a column is named twice")
        return value

    @model_validator(mode="after")
    def _fit(self) -> Self:
        types = {self.data_type, *(self.exclusive_data_type or {}).values()}
        for values in (self.default_value, self.outlier_replace_value):
            if "str" not in types and any(
                isinstance(each, str) for each in (values if isinstance(values, list) else [values])
            ):
                raise ValueError("default_value and outlier_replace_value are text only where a data_type is str")
        if self.tag_with_value and self.delimitor == self.tag_value_delimitor:
            raise ValueError("delimitor and tag_value_delimitor are the same")
        if self.input_format != "dense" and (self.data_type == "str" or self.exclusive_data_type):
            raise ValueError("data_type str and exclusive_data_type are for input_format dense")
        if self.input_format == "sparse" and self.delimitor == ":":
            raise ValueError("delimitor is ':', which stands between index and value")
        return self


class DataTransformParams(DataIOParams):
    """Those of DataTransform, whose tables have no label where nothing is said."""

    with_label: bool = Field(False, description="whether this party's table holds the label")
    with_match_id: bool = Field(
        False, description="compare the ids of another column, one row each, in the place of the sample ids"
    )
    match_id_name: str | None = Field(
        None, description="of with_match_id: that column; null: the one at match_id_index"
    )
    match_id_index: int = Field(0, ge=0, description="of with_match_id: its position, the sample ids not counted")
