"""HeteroDataSplit and HomoDataSplit: a table in up to three parts, to train, to validate and to test.

HeteroDataSplit: the guest draws; hosts follow, so that all hold the same samples in the same part and order. It needs
tables of the same samples, as Intersection leaves them.

    guest -> hosts  parts      which part each common row is in

HomoDataSplit: each party splits its own rows; no message leaves it.

Sizes are parts of the rows (0 to 1; 1 is all) or numbers of rows (2 and more). None given: 0.8 to train, 0.2 to
validate. A part that is not given gets what is left, in the order train, validate, test; a second one nothing. Rows
that no part asks for are in none. A part without rows is not there: what reads it says so. Rows keep their order
within a part.

``stratified`` gives every part each label in proportion, within one row for two labels and within 1 + its share x
(labels - 2) rows for more; ``split_points`` make groups of labels that are numbers. Each part is then an equation in
the labels, which hosts hear of: over many splits of the same rows they add up. ``random_state`` gives the same parts
for the same table. Hosts know it too: under ``stratified`` the whole table of the guest is part of the seed, or they
could try which labels give the parts that they see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Self, cast

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from federatedml.component import Component, Inputs, MemberParams, Outputs, Params
from federatedml.components.column_choice import check_instances
from federatedml.components.row_choice import Rows, generator, known_labels, row_topic, spread, strata, tell, told
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.wire import Array
from federatedml.views import Grid

OUTPUTS = ("train_data", "validate_data", "test_data")
NONE = len(OUTPUTS)  # the part of rows that are in no part
LABELS_SHOWN = 50
DEFAULT_SIZES = (0.8, 0.2, 0.0)


def _size(value: float) -> float:
    if value > 1 and value != int(value):
        raise ValueError("a part of the rows is 0 to 1, a number of rows is whole")
    return value


Size = Annotated[float, Field(ge=0, le=2**53), AfterValidator(_size)] | None


class DataSplitParams(Params):
    """FATE's parameters."""

    random_state: int | None = Field(default=None, ge=0, description="seed; null: another one for each job")
    train_size: Size = Field(default=None, description="part (0 to 1) or number (2 and more) of the rows to train on")
    validate_size: Size = Field(default=None, description="part or number of the rows to validate on")
    test_size: Size = Field(default=None, description="part or number of the rows to test on")
    stratified: bool = Field(default=False, description="each part has each label in proportion")
    shuffle: bool = Field(default=True, description="draw the rows; false: take them in their order")
    split_points: list[float] | None = Field(
        default=None, min_length=1, description="stratified: ascending, between groups of labels that are numbers"
    )
    need_run: bool = Field(default=True, description="false: all rows are to train on")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = [size for size in self.sizes if size is not None]
        if sum(size for size in given if size <= 1) > 1 + 1e-9:
            raise ValueError("train_size, validate_size and test_size are more than all rows")
        if self.stratified and not self.shuffle:
            raise ValueError("stratified needs shuffle: in a known order the parts would tell labels")
        if self.split_points is not None and not self.stratified:
            raise ValueError("split_points are for stratified")
        if self.split_points and not all(np.diff(self.split_points) > 0):
            raise ValueError("split_points are not ascending")
        return self

    @property
    def sizes(self) -> tuple[float | None, float | None, float | None]:
        """Of the parts, in the order of the outputs."""
        return self.train_size, self.validate_size, self.test_size


PARTS = row_topic(
    "parts",
    "|u1",
    "which of the common samples are in which part; under stratified each part has the labels in proportion: "
    "one equation in the labels, which tells whose labels differ where a part has few rows",
)


def guest(p: DataSplitParams, box: Box, inputs: Inputs) -> Outputs:
    """Draw the parts, tell the hosts, and split."""
    table = _checked("HeteroDataSplit", inputs)
    if not p.need_run:
        return _passed(table)
    parts = _drawn(p, table, generator(box.attempt, p.random_state, table if p.stratified else None))
    tell(box, PARTS, table, parts)
    return _split(p, table, parts)


def host(p: DataSplitParams, box: Box, inputs: Inputs) -> Outputs:
    """Split as the guest says."""
    table = _checked("HeteroDataSplit", inputs)
    if not p.need_run:
        return _passed(table)
    parts = told(box, PARTS, table)
    if parts.shape != (len(table),) or parts.max(initial=0) > NONE:
        raise ProtocolError("FED-879", "the guest's parts are not those of the rows", f"0 to {NONE} for each row")
    return _split(p.model_copy(update={"stratified": False}), table, parts)


def alone(p: DataSplitParams, box: Box, inputs: Inputs) -> Outputs:
    """Draw the parts and split, at each party for itself."""
    table = _checked("HomoDataSplit", inputs)
    return (
        _split(p, table, _drawn(p, table, generator(box.attempt, p.random_state, None)))
        if p.need_run
        else _passed(table)
    )


def part_sizes(p: DataSplitParams, rows: int) -> tuple[int, ...]:
    """Rows of each part.

    Raises:
        DataError: ``FED-880``, there are not as many rows.
    """
    sizes = DEFAULT_SIZES if p.sizes == (None, None, None) else p.sizes
    wanted = [None if size is None else size * rows if size <= 1 else size for size in sizes]
    left = rows - sum(size for size in wanted if size is not None)
    if left < -1e-6:
        raise DataError("FED-880", f"the parts are of {rows - left:g} rows, the table has {rows}")
    first = wanted.index(None) if None in wanted else None
    exact = [left if place == first else size or 0.0 for place, size in enumerate(wanted)]
    ends = np.minimum(np.floor(np.cumsum(exact) + 0.5), rows).astype(np.int64)  # so that parts of all rows are all rows
    return tuple(int(size) for size in np.diff(ends, prepend=0))


def _checked(module: str, inputs: Inputs) -> Table:
    table = inputs.one("data", "train_data", "eval_data")
    check_instances(module, table)
    return table


def _drawn(p: DataSplitParams, table: Table, draw: np.random.Generator) -> Array:
    """(n,) number of the part of each row, ``NONE`` for those that are in no part."""
    groups = _groups(p, table) if p.stratified else np.zeros(len(table), np.int64)
    order = spread(groups, draw if p.shuffle else None)
    parts = np.full(len(table), NONE, np.uint8)
    ends = np.cumsum(part_sizes(p, len(table)))
    for part, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        parts[order[start:end]] = part
    return parts


def _groups(p: DataSplitParams, table: Table) -> Rows:
    labels = known_labels(table)
    if p.split_points is None:
        return strata(labels)
    if labels.dtype.kind not in "fiub":
        raise DataError("FED-884", "split_points are for labels that are numbers, the label is text", repr(table.label))
    return np.digitize(labels, p.split_points).astype(np.int64)


def _passed(table: Table) -> Outputs:
    return Outputs(table, rest=(None, None))


def _split(p: DataSplitParams, table: Table, parts: Array) -> Outputs:
    if not len(table):
        raise DataError("FED-872", "the table has no rows to be split")
    tables = [table.take(np.flatnonzero(parts == part)) for part in range(len(OUTPUTS))]
    first, *rest = (part if len(part) else None for part in tables)
    summary = {
        f"{name.removesuffix('_data')}_rows": float(len(part)) for name, part in zip(OUTPUTS, tables, strict=True)
    }
    return Outputs(first, views=[_grid(p, table, tables)], summary={"rows": float(len(table))} | summary, rest=rest)


def _grid(p: DataSplitParams, table: Table, tables: Sequence[Table]) -> Grid:
    labels = [str(label) for label in np.unique(table.labels().astype(str))] if p.stratified else []
    few = labels if len(labels) <= LABELS_SHOWN else []
    rows: list[list[str | float]] = []
    for name, part in zip(OUTPUTS, tables, strict=True):
        counts = [int((part.labels().astype(str) == label).sum()) for label in few]
        rows.append([name, len(part), len(part) / len(table), *counts])
    header = ["part", "rows", "share", *(f"label {label}" for label in few)]
    return Grid("data_split", "Rows of each part", header, rows, metric_type="DATA_SPLIT")


def _settle(submitted: MemberParams) -> MemberParams:
    if len({cast(DataSplitParams, p).need_run for p in submitted.values()}) > 1:
        raise DslError("FED-180", "need_run of HeteroDataSplit differs between parties", "split at all, or at none")
    return submitted


def _variant(component: Component, p: DataSplitParams) -> Component:
    return component if p.need_run else replace(component, topics=())


HETERO_DATA_SPLIT = Component(
    module="HeteroDataSplit",
    title="Split the common samples: to train, to validate, to test",
    params=DataSplitParams,
    roles={Role.GUEST: guest, Role.HOST: host},
    topics=(PARTS,),
    inputs=("data",),
    optional_roles=(Role.HOST,),
    data_outputs=OUTPUTS,
    need_deploy=False,
    settle=_settle,
    variant=_variant,
    cost=["Time grows with the rows.", "One byte a row to each host."],
)

HOMO_DATA_SPLIT = Component(
    module="HomoDataSplit",
    title="Split each party's own rows: to train, to validate, to test",
    params=DataSplitParams,
    roles={Role.GUEST: alone, Role.HOST: alone},
    inputs=("data",),
    data_outputs=OUTPUTS,
    need_deploy=False,
    cost=["Time grows with the rows.", "No message leaves a party."],
)
