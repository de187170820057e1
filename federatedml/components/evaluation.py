"""Evaluation: metrics, curves and confusion matrices of the prediction tables of one or more components.

Local at each party that has predictions: the guest, and after a model of the homo family hosts too. Names follow FATE:
the namespace is the rows' ``type`` (``train``, ``validate``, ``predict``; ``eval`` where a table has no type), CPN is
the component that wrote the table.

- Points ``CPN_METRIC``. FATE keeps all of a table under one name ``CPN``; our trackers know one number per name.
  ``binary``: auc, ks, psi (against the ``train`` rows of the same table); ``multi``: accuracy, and precision and recall
  as means over the classes; ``regression``: FATE's seven.
- Curves ``CPN_roc``, ``CPN_ks`` (series ``CPN_ks_tpr`` and ``CPN_ks_fpr``), ``CPN_lift``, ``CPN_gain``,
  ``CPN_accuracy``, ``CPN_precision``, ``CPN_recall``, ``CPN_f1_score``, ``CPN_confusion_mat``, ``CPN_quantile_pr`` with
  FATE's metric types, at most 100 thresholds (the ROC's origin aside) and 6 digits. AUC and KS are exact. ``multi``:
  precision and recall over classes, the grid ``CPN_confusion_mat``, and with unfold_multi_result the binary curves of
  each class against the rest, ``CPN_class_C_roc`` and so on.
- The grid ``CPN`` (EVALUATION_SUMMARY), for several tables or types the grid ``evaluation`` with a column each, and the
  summary: metrics of the first rows that were evaluated; those of others as ``CPN_TYPE_METRIC``.

Cost: a sort of the scores, n log n; memory some copies of the scores. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from federatedml.component import Component, Inputs, Outputs
from federatedml.components.evaluation_params import EvaluateParams
from federatedml.components.evaluation_report import DIGITS, Found, Group, groups, measured, measured_if_any
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.views import Grid, View


@dataclass
class _Report:
    """What has been found so far."""

    views: list[View] = field(default_factory=list)
    summary: dict[str, float] = field(default_factory=dict)
    columns: dict[str, Found] = field(default_factory=dict)

    def add(self, group: Group, found: Found) -> None:
        """Note what was found in the rows of a group."""
        first = not self.columns
        for name, value in found.values.items():
            self.summary[name if first else f"{group.name}_{group.type}_{name}"] = value
        self.columns[f"{group.name} {group.type}"] = found
        self.views += found.views


def party(p: EvaluateParams, box: Box, inputs: Inputs) -> Outputs:
    """Evaluate every table under ``data``, separately for every type of rows.

    A host of a homo model has what it has: rows without labels, or of one class, are passed over there and do not end
    the job of all.
    """
    report, at_host = _Report(), box.me.role is Role.HOST
    for table in inputs.data.get("data", ()) if p.need_run else ():
        if at_host and "label" not in table.columns:
            continue
        found = list(groups(table))
        training = next((group for group in found if group.type == "train"), None)
        for group in found:
            result = measured_if_any(p, group, training) if at_host else measured(p, group, training)
            if not result.views:
                continue
            report.add(group, result)
            for name, value in result.values.items():
                box.metric(group.type, f"{group.name}_{name}", 0, value)
    views = [*([beside(report.columns)] if len(report.columns) > 1 else []), *report.views]
    return Outputs(views=views, summary=report.summary)


def beside(columns: dict[str, Found]) -> Grid:
    """What was found in several groups of rows, a column each, a metric per row."""
    names = dict.fromkeys(name for found in columns.values() for name in found.values)
    rows = [[name, *_cells(name, list(columns.values()))] for name in names]
    return Grid("evaluation", "All that was evaluated", ["metric", *columns], rows, "eval", "EVALUATION_SUMMARY")


def _cells(name: str, columns: Sequence[Found]) -> Iterator[float | None]:
    for found in columns:
        value = found.values.get(name)
        yield None if value is None else round(value, DIGITS)


EVALUATION = Component(
    module="Evaluation",
    title="Metrics and curves of predictions",
    params=EvaluateParams,
    roles={Role.GUEST: party, Role.HOST: party},
    inputs=("data",),
    several=True,
    has_data=False,
    need_deploy=False,
    cost=("time: sorting the scores of n rows, n log n", "memory: a few numbers per row", "bytes: none"),
)
