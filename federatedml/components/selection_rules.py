"""Which of some columns with one number each stay: those past a threshold, the first k, a share of them.

Columns may be of several parties; whatever the rule, of each party's columns at least one stays, its best. Of equal
columns the first stays: the guest's before hosts', in party order and then in the order of the columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from federatedml.components.selection_params import FeatureSelectionParams
from federatedml.errors import DslError

Values = Mapping[str, float]  # by column


@dataclass(frozen=True)
class Rule:
    """How columns are chosen by their numbers.

    Attributes:
        kind: what ``value`` is: least (or largest) number, how many columns stay, share of columns that stay.
        of_hosts: other thresholds for each host, in the order of their ids as text.
        federated: whether hosts' columns are judged too.
        high: whether large numbers are good.
    """

    kind: Literal["threshold", "top_k", "top_percentile"]
    value: float
    of_hosts: Sequence[float] | None = None
    federated: bool = True
    high: bool = True

    def stay(self, values: Values) -> list[str]:
        """Those of one party's columns that stay, in their order."""
        return self.stays([values])[0]

    def stays(self, values: Sequence[Values]) -> list[list[str]]:
        """The same over several parties, the guest first."""
        if self.kind == "threshold":
            found = [{c for c, v in own.items() if self._passes(v, number)} for number, own in enumerate(values)]
        else:
            found = self._first(values)
        for own, chosen in zip(values, found, strict=True):
            if own and not chosen:
                chosen.add(min(own, key=lambda column: self._rank(own[column])))
        return [[c for c in own if c in chosen] for own, chosen in zip(values, found, strict=True)]

    def check_hosts(self, hosts: int) -> None:
        """``DslError`` unless there is a threshold for each host, if hosts have their own."""
        if self.of_hosts is not None and len(self.of_hosts) != hosts:
            raise DslError(
                "FED-841", f"HeteroFeatureSelection: {len(self.of_hosts)} host_thresholds for {hosts} hosts", "one each"
            )

    def _passes(self, value: float, party: int) -> bool:
        least = self.value if party == 0 or self.of_hosts is None else self.of_hosts[party - 1]
        return value >= least if self.high else value <= least

    def _first(self, values: Sequence[Values]) -> list[set[str]]:
        ranked = sorted(
            (self._rank(value), party, place, column)
            for party, own in enumerate(values)
            for place, (column, value) in enumerate(own.items())
        )
        share = math.ceil(self.value * len(ranked) - 1e-9)
        chosen = ranked[: int(self.value) if self.kind == "top_k" else share]
        return [{column for _, of, _, column in chosen if of == party} for party in range(len(values))]

    def _rank(self, value: float) -> float:
        return -value if self.high else value


def iv_rule(method: str, p: FeatureSelectionParams) -> Rule:
    """The rule of a method that judges by IV."""
    match method:
        case "iv_value_thres":
            v = p.iv_value_param
            return Rule("threshold", v.value_threshold, v.host_thresholds, not v.local_only)
        case "iv_percentile":
            share = p.iv_percentile_param
            return Rule("top_percentile", share.percentile_threshold, None, not share.local_only)
        case "iv_top_k":
            return Rule("top_k", p.iv_top_k_param.k, None, not p.iv_top_k_param.local_only)
        case _:
            iv = p.iv_param
            return Rule(iv.filter_type, iv.threshold, iv.host_thresholds, iv.select_federated)


def statistic_rule(p: FeatureSelectionParams) -> Rule:
    """The rule of ``statistic_filter``."""
    s = p.statistic_param
    return Rule(s.filter_type, s.threshold, None, False, s.take_high)
