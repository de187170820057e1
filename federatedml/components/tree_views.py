"""What a person wants to see of boosted trees, at the guest: the loss, the trees, the columns that count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from airfed_proto.v1 import trees_pb2 as pb
from federatedml.component import ModelBuffers
from federatedml.components.lr_result import LOSS_META
from federatedml.components.tree_model import GUEST_PARAM, LEFT
from federatedml.views import Curve, Grid, Series, View

Line = list[str | float | int | bool | None]
MOST_NODES = 500  # of all trees, in the picture
MOST_COLUMNS = 100


def views_of(model: ModelBuffers, losses: Sequence[float]) -> Sequence[View]:
    """Curve of the loss, trees line by line, importance of columns."""
    param = cast(pb.BoostingTreeModelParam, model[GUEST_PARAM])
    line = Series("loss", [float(i) for i in range(1, len(losses) + 1)], list(losses))
    meta = LOSS_META | ({"Best": min(losses)} if losses else {})
    loss = Curve("loss", "Loss", "rounds", "loss", [line], metric_type="LOSS", meta=meta)
    lines = [line for number, tree in enumerate(param.trees_) for line in _lines(param, number, tree)]
    trees = Grid(
        "trees", "Trees", ["tree", "node", "rule", "party", "leaf", "rows"], lines[:MOST_NODES], metric_type="TREES"
    )
    rows: list[Line] = [
        [info.fullname, info.importance, info.importance2] for info in param.feature_importances[:MOST_COLUMNS]
    ]
    kind = param.feature_importances[0].main if param.feature_importances else "split"
    columns = ["column", "splits", "gain"] if kind == "split" else ["column", "gain", "splits"]
    return loss, trees, Grid("feature_importance", "Importance of columns", columns, rows, metric_type="IMPORTANCE")


def _lines(param: pb.BoostingTreeModelParam, number: int, tree: pb.DecisionTreeModelParam) -> Iterator[Line]:
    """A tree, each node before its children, indented by its level."""

    def lines(at: int, level: int, rule: str) -> Iterator[Line]:
        node = tree.tree_[at]
        shown = "  " * level + rule
        if node.is_leaf:
            yield [number, at, shown, "", node.weight, tree.leaf_count[at]]
            return
        yield [number, at, shown, node.sitename, None, None]
        left, right = _rules(param, tree, node)
        yield from lines(node.left_nodeid, level + 1, left)
        yield from lines(node.right_nodeid, level + 1, right)

    return lines(0, 0, "all rows")


def _rules(param: pb.BoostingTreeModelParam, tree: pb.DecisionTreeModelParam, node: pb.NodeParam) -> tuple[str, str]:
    if node.id not in tree.split_maskdict:
        name = f"{node.sitename}_{node.fid}"
        return f"{name} low", f"{name} high"
    name, value = param.header[node.fid], tree.split_maskdict[node.id]
    side = ("", " or none")
    left, right = (side[node.missing_dir == LEFT], side[node.missing_dir != LEFT])
    return f"{name} <= {value:.6g}{left}", f"{name} > {value:.6g}{right}"
