"""What a person wants to see of a component, as data in one small JSON contract; renderers draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Series:
    """One line of a curve."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Curve:
    """Lines over one axis.

    Attributes:
        name: file-safe name, FATE's metric name where it has one (``hetero_lr_0_roc``).
        namespace: FATE's metric namespace (``train``, ``validate``).
        metric_type: FATE's type (``ROC_EVALUATION``), so that a board can choose its chart.
        meta: what FATE logs besides, under its names (``unit_name``, ``Best``).
    """

    name: str
    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    namespace: str = "train"
    metric_type: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"kind": "curve", **asdict(self)}


@dataclass(frozen=True)
class Grid:
    """A table for people (never rows of data).

    Attributes:
        name, namespace, metric_type, meta: as of a ``Curve``.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int | bool | None]]
    namespace: str = "train"
    metric_type: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"kind": "grid", **asdict(self)}


View = Curve | Grid


def parsed(stored: Mapping[str, Any]) -> View:
    """The view whose JSON is ``stored``."""
    fields = {name: value for name, value in stored.items() if name != "kind"}
    if stored["kind"] == "grid":
        return Grid(**fields)
    return Curve(**{**fields, "series": [Series(**series) for series in stored["series"]]})
