"""FederatedSample: fewer rows (``downsample``), or some that count more than once (``upsample``).

The guest draws, at random or by label (``stratified``); hosts follow. Tables must hold the same samples, as they do
after Intersection.

    guest -> hosts  sample_ids           downsample: which of the common rows are left
    guest -> hosts  repeated_sample_ids  upsample with ``repeats``: which row each new one repeats

``upsample`` does not repeat rows but weighs them: the guest gets a column ``sample_weight``, how often each row was
drawn (0: never), no message is sent, and hosts learn nothing. FATE repeats the rows, so a host reads off how often each
was drawn, and where labels have different fractions, which label it has; ``repeats`` does that if it must be. Repeated
rows get new ids, 0 and up, in a drawn order; what protects a party by a number of rows (bins, columns that single out
few, budgets) then asks for as many times more as one row was drawn.

``downsample`` cannot hide which rows are left: where labels have different fractions, the rows that go are of the label
that gets less, all of them if the other one keeps all.

task_type homo: each party draws from its own rows; no message leaves it.

``random_state`` gives the same rows for the same table. Hosts know it too: under ``stratified`` the whole table of the
guest is part of the seed, or they could try which labels give the rows that they see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, cast

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from federatedml.component import Component, Inputs, MemberParams, Outputs, Params
from federatedml.components.column_choice import check_instances, lower_case
from federatedml.components.row_choice import Rows, check_range, generator, known_labels, row_topic, tell, told
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.views import Grid

WEIGHT = "sample_weight"
LABELS_SHOWN = 50
MOST = 100.0  # times that rows may be upsampled
DEFAULT = 0.9  # of FATE's confs
Label = int | float | str


def _fractions(value: Any) -> Any:
    if isinstance(value, list):
        return [tuple(entry) if isinstance(entry, list) else entry for entry in value]
    return DEFAULT if value is None else value


class SampleParams(Params):
    """FATE's parameters and ``repeats``."""

    mode: Annotated[Literal["random", "stratified"], BeforeValidator(lower_case)] = Field(
        default="random", description="stratified: by label, at the guest"
    )
    method: Annotated[Literal["downsample", "upsample"], BeforeValidator(lower_case)] = Field(
        default="downsample", description="fewer rows, or rows that count more than once"
    )
    fractions: Annotated[float | list[tuple[Label, float]], BeforeValidator(_fractions)] = Field(
        default=DEFAULT, description="part of the rows; stratified: one for all labels, or [[label, part], ...]"
    )
    random_state: int | None = Field(default=None, ge=0, description="seed; null: another one for each job")
    task_type: Literal["hetero", "homo"] = Field(default="hetero", description="homo: each party draws its own rows")
    repeats: bool = Field(
        default=False,
        description="upsample repeats rows instead of weighing them: hosts learn which, and much about their labels",
        json_schema_extra={"fate": True},
    )
    need_run: bool = Field(default=True, description="false: pass the table on as it is")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        pairs = self.fractions if isinstance(self.fractions, list) else [("", self.fractions)]
        if isinstance(self.fractions, list) and self.mode == "random":
            raise ValueError("mode random: fractions is one number")
        if not pairs or len({str(label) for label, _ in pairs}) != len(pairs):
            raise ValueError("fractions: each label once, and at least one")
        least, most = (0.0, 1.0) if self.method == "downsample" else (np.nextafter(0, 1), MOST)
        if not all(least <= part <= most for _, part in pairs):
            raise ValueError(f"fractions: {'0 to 1' if most == 1 else f'above 0, at most {MOST:g}'} for {self.method}")
        if self.repeats and self.method == "downsample":
            raise ValueError("repeats is for upsample")
        return self

    @property
    def follows(self) -> bool:
        """Whether hosts hear of rows."""
        return self.need_run and self.task_type == "hetero" and (self.method == "downsample" or self.repeats)

    @property
    def uneven(self) -> bool:
        """Whether labels have different fractions."""
        return isinstance(self.fractions, list) and len({part for _, part in self.fractions}) > 1


UNEVEN = (
    "EXCEPTION: fractions differ by label: of the rows that hosts see less often, or not any more, most or all have "
    "the label with the smaller fraction"
)
LABELS = "stratified: if labels have different fractions,"
SAMPLE_IDS = row_topic(
    "sample_ids",
    "<i8",
    f"which of the common rows are left; {LABELS} those left out are mostly, or surely, of the label that gets less",
)
REPEATED = row_topic(
    "repeated_sample_ids",
    "<i8",
    f"which of the common rows are repeated, how often, and which are left out; {LABELS} with that much about labels",
)


@dataclass(frozen=True)
class _Draw:
    """Positions of the rows that are drawn; how many of each label, if they were drawn by label."""

    rows: Rows
    counts: Mapping[str, int] | None = None


def guest(p: SampleParams, box: Box, inputs: Inputs) -> Outputs:
    """Draw, tell the hosts what they must know, and sample."""
    table = _table(inputs)
    if not p.need_run:
        return Outputs(table)
    hidden = p.mode == "stratified" and p.task_type == "hetero"
    drawn = _drawn(p, table, generator(box.attempt, p.random_state, table if hidden else None))
    if p.follows:
        tell(box, REPEATED if p.repeats else SAMPLE_IDS, table, drawn.rows)
    return _sampled(p, box, table, drawn)


def host(p: SampleParams, box: Box, inputs: Inputs) -> Outputs:
    """Take the rows that the guest drew; under task_type homo draw from the own ones."""
    if p.task_type == "homo":
        return guest(p, box, inputs)
    table = _table(inputs)
    if not p.follows:
        return Outputs(table)
    rows = told(box, REPEATED if p.repeats else SAMPLE_IDS, table)
    check_range(rows, len(table), int(MOST) * len(table) if p.repeats else len(table))
    if not p.repeats and (np.diff(rows) <= 0).any():
        raise ProtocolError("FED-879", "the guest's rows are not in their order, each once")
    return _sampled(p, box, table, _Draw(rows))


def _table(inputs: Inputs) -> Table:
    table = inputs.one("data", "train_data", "eval_data")
    check_instances("FederatedSample", table)
    return table


def _drawn(p: SampleParams, table: Table, draw: np.random.Generator) -> _Draw:
    """The rows; in their order under downsample, else mixed."""
    if not len(table):
        raise DataError("FED-872", "the table has no rows to draw from")
    strata = _strata(p, table) if p.mode == "stratified" else {"": (cast(float, p.fractions), np.arange(len(table)))}
    found = {label: _chosen(draw, part, rows, p.method == "upsample") for label, (part, rows) in strata.items()}
    rows = np.concatenate(list(found.values()))
    rows = np.sort(rows) if p.method == "downsample" else draw.permutation(rows)
    return _Draw(rows, {label: len(of) for label, of in found.items()} if p.mode == "stratified" else None)


def _chosen(draw: np.random.Generator, part: float, rows: Rows, again: bool) -> Rows:
    """That part of ``rows``, at least one if there is one; ``again``: a row may come several times."""
    count = min(len(rows), 1) if part * len(rows) < 1 else int(part * len(rows) + 1e-9)
    return rows[draw.integers(0, len(rows), count)] if again and count else draw.choice(rows, count, replace=False)


def _strata(p: SampleParams, table: Table) -> dict[str, tuple[float, Rows]]:
    """Fraction and rows of each label that the fractions name; ``DataError`` if they miss one."""
    values = np.array([_text(label) for label in known_labels(table).tolist()], dtype=str)
    if isinstance(p.fractions, list):
        parts = {_text(label): part for label, part in p.fractions}
    else:
        parts = dict.fromkeys(np.unique(values).tolist(), p.fractions)
    missing = set(values.tolist()) - set(parts)
    if missing:
        raise DataError("FED-878", f"fractions names {len(parts)} labels, the table has {len(missing)} more")
    return {label: (part, np.flatnonzero(values == label)) for label, part in parts.items()}


def _text(label: Label) -> str:
    """A label as text, the same for 1 and 1.0."""
    return str(int(label)) if not isinstance(label, str) and label == int(label) else str(label)


def _sampled(p: SampleParams, box: Box, table: Table, drawn: _Draw) -> Outputs:
    weighs = p.method == "upsample" and not p.repeats
    found = _weighed(table, drawn.rows) if weighs else table.take(drawn.rows)
    if p.repeats:
        ids = np.array([*map(str, range(len(found))), None], object)[:-1]
        often = int(np.bincount(drawn.rows).max(initial=0))
        found = replace(found, ids=ids, copies=table.copies * max(often, 2))  # 2: a union cannot tell by new ids
    summary = {"rows": float(len(found)), "drawn": float(len(drawn.rows))}
    return Outputs(found, views=[_report(p, box, drawn)], summary=summary)


def _report(p: SampleParams, box: Box, drawn: _Draw) -> Grid:
    """FATE's metrics: the number of rows, or those of each label."""
    counts = drawn.counts
    for position, (label, count) in enumerate((counts or {"": len(drawn.rows)}).items()):
        box.metric("sample_count", p.mode, _key(label, position), count)
    if counts is None:
        return Grid(p.mode, "Rows drawn", ["rows"], [[len(drawn.rows)]], "sample_count", "SAMPLE_TEXT")
    rows = list(counts.items())[:LABELS_SHOWN]
    return Grid(p.mode, "Rows drawn of each label", ["label", "rows"], rows, "sample_count", "SAMPLE_TABLE")


def _weighed(table: Table, rows: Rows) -> Table:
    """The table with the number of times that each row was drawn as its weight, times the weight that it had."""
    name = table.weight or WEIGHT
    if table.weight is None and name in table.columns:
        raise DataError("FED-877", f"the table has a column {WEIGHT!r}, which is to be the rows' weight")
    weights = np.bincount(rows, minlength=len(table)).astype(np.float64)
    if table.weight is not None:
        weights *= table.columns[name].astype(np.float64)
    return replace(table, columns={**table.columns, name: weights}, weight=name)


def _key(label: str, position: int) -> float:
    try:
        return float(label)
    except ValueError:
        return float(position)


def _settle(submitted: MemberParams) -> MemberParams:
    given = [cast(SampleParams, p) for p in submitted.values()]
    together = any(p.task_type == "hetero" for p in given)
    if len({(p.need_run, p.task_type, p.method, p.repeats) for p in given if together or p.need_run}) > 1:
        problem = "need_run, task_type, method or repeats of FederatedSample differ between parties"
        raise DslError("FED-180", problem, "they draw together, or with task_type homo each for itself")
    return submitted


def _variant(component: Component, p: SampleParams) -> Component:
    if not p.follows:
        return replace(component, topics=())
    learns = {Role.HOST: [UNEVEN]} if p.uneven else {}
    return replace(component, topics=(REPEATED if p.repeats else SAMPLE_IDS,), learns=learns)


def _notes(p: SampleParams) -> Sequence[str]:
    if not p.need_run or p.method == "downsample":
        return ()
    if p.repeats:
        return [
            "rows are repeated: hosts learn how often each was drawn"
            if p.task_type == "hetero"
            else "rows are repeated"
        ]
    told = f"rows are not repeated but weighed, by column {WEIGHT!r}; HeteroLR takes it as sample_weight_name"
    return [f"{told}, HeteroFeatureBinning does not take it"]


FEDERATED_SAMPLE = Component(
    module="FederatedSample",
    title="Draw fewer rows, or weigh some more than once",
    params=SampleParams,
    roles={Role.GUEST: guest, Role.HOST: host},
    topics=(SAMPLE_IDS, REPEATED),
    inputs=("data",),
    optional_roles=(Role.HOST,),
    need_deploy=False,
    settle=_settle,
    variant=_variant,
    notes=_notes,
    cost=["Time grows with the rows.", "Eight bytes a drawn row to each host; none where rows are weighed."],
)
