"""Models of boosted trees, in FATE's messages.

The guest's part has all trees: its own thresholds, and where a host splits a node the host, the number of the split
among all of that host's and the number of the column, no threshold. A host's part has its own splits in the order of
their numbers, a tree a round, and neither leaves nor their weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import cast

import numpy as np
from pydantic import ValidationError

from airfed_proto.v1 import trees_pb2 as pb
from federatedml.component import ModelBuffers
from federatedml.components.tree_columns import Gaps, Threshold
from federatedml.components.tree_importance import Used, importances
from federatedml.components.tree_nodes import LEAF, Tree, TreeNode
from federatedml.components.tree_objectives import objective_of
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_target import Target
from federatedml.crypto.ring import Floats
from federatedml.errors import ModelError
from federatedml.federation.party import Member

GUEST_META, GUEST_PARAM = "HeteroSecureBoostingTreeGuestMeta", "HeteroSecureBoostingTreeGuestParam"
HOST_META, HOST_PARAM = "HeteroSecureBoostingTreeHostMeta", "HeteroSecureBoostingTreeHostParam"
GUEST_BUFFERS = {GUEST_META: pb.BoostingTreeModelMeta, GUEST_PARAM: pb.BoostingTreeModelParam}
HOST_BUFFERS = {HOST_META: pb.BoostingTreeModelMeta, HOST_PARAM: pb.BoostingTreeModelParam}
RIGHT, LEFT = 1, -1  # missing_dir
GUEST = 0
MOST_SPLITS = 2**31


@dataclass(frozen=True)
class Grown:
    """What a training leaves at the guest.

    Attributes:
        members: the guest, then hosts in their order.
        start: (k,) first scores.
        best: rounds of the model that validation rows liked best; 0 without.
    """

    members: Sequence[Member]
    trees: Sequence[Tree]
    splits: Sequence[Threshold]
    start: Floats
    losses: Sequence[float]
    best: int = 0


def guest_buffers(p: SecureBoostParams, target: Target, header: Sequence[str], grown: Grown) -> ModelBuffers:
    """The guest's part."""
    meta = _meta(p)
    meta.tree_dim = len(grown.start)
    meta.num_classes = len(target.classes)
    meta.classes_.extend(f"{value:g}" for value in target.classes)
    meta.label_values.extend(target.classes)
    meta.objective_meta.CopyFrom(pb.ObjectiveMeta(objective=p.objective, param=p.objective_param.params or ()))
    names = [str(member) for member in grown.members]
    used = [
        Used(names[node.party], node.column, node.gain) for tree in grown.trees for node in tree if node.party != LEAF
    ]
    param = pb.BoostingTreeModelParam(
        tree_num=len(grown.trees),
        trees_=[_tree(tree, grown.splits, names) for tree in grown.trees],
        init_score=grown.start.tolist(),
        losses=grown.losses,
        feature_importances=importances(used, p.tree_param.feature_importance_type, _names(header, used, names[GUEST])),
        feature_name_fid_mapping={name: number for number, name in enumerate(header)},
        best_iteration=grown.best,
        header=header,
        sites=names,
    )
    return {GUEST_META: meta, GUEST_PARAM: param}


def host_buffers(
    p: SecureBoostParams, member: Member, header: Sequence[str], splits: Sequence[Threshold], ends: Sequence[int]
) -> ModelBuffers:
    """A host's part.

    Args:
        ends: how many splits there were after each round.
    """
    trees = []
    for first, end in zip([0, *ends], ends, strict=False):
        tree = pb.DecisionTreeModelParam()
        for number in range(first, end):
            _own(tree, tree.tree_.add(id=number, sitename=str(member)), splits[number])
        trees.append(tree)
    param = pb.BoostingTreeModelParam(
        tree_num=len(trees),
        trees_=trees,
        feature_name_fid_mapping={name: number for number, name in enumerate(header)},
        header=header,
    )
    return {HOST_META: _meta(p), HOST_PARAM: param}


@dataclass(frozen=True)
class Read:
    """A guest's model, read.

    Attributes:
        hosts: how many there are.
        trees: their nodes count splits from 0 at each party.
        threshold: probability above which the result is 1.
    """

    target: Target
    hosts: int
    trees: Sequence[Tree]
    start: Floats
    threshold: float


def own_splits(model: ModelBuffers) -> tuple[Sequence[str], Sequence[Threshold], Gaps]:
    """Header, splits in the order of their numbers, and what counts as missing, of either part of a model."""
    at_guest = GUEST_PARAM in model
    param = cast(pb.BoostingTreeModelParam, model[GUEST_PARAM if at_guest else HOST_PARAM])
    meta = cast(pb.BoostingTreeModelMeta, model[GUEST_META if at_guest else HOST_META]).tree_meta
    splits = [
        Threshold(node.fid, tree.split_maskdict[node.id], node.missing_dir == LEFT)
        for tree in param.trees_
        for node in tree.tree_
        if node.id in tree.split_maskdict and not node.is_leaf
    ]
    if any(isnan(split.value) for split in splits):
        raise ModelError("FED-803", "the model of the trees splits at a value that is no number")
    if any(not 0 <= split.column < len(param.header) for split in splits):
        raise ModelError("FED-803", "the model of the trees splits at a column that it does not name")
    return tuple(param.header), splits, Gaps(meta.use_missing, meta.zero_as_missing)


def label_values(model: ModelBuffers) -> Sequence[float]:
    """Label values of the classes, ascending; none of a regression."""
    return tuple(cast(pb.BoostingTreeModelMeta, model[GUEST_META]).label_values)


def read(model: ModelBuffers) -> Read:
    """The guest's part.

    Raises:
        ModelError: FED-803, it is not what a training leaves.
    """
    meta, param = cast(pb.BoostingTreeModelMeta, model[GUEST_META]), cast(pb.BoostingTreeModelParam, model[GUEST_PARAM])
    trees, own = [], 0
    for stored in param.trees_:
        tree, own = _read_tree(stored, list(param.sites[1:]), own)
        trees.append(tree)
    target = _target(meta)
    if len(param.init_score) != target.objective.width or len(trees) % target.objective.width:
        raise ModelError("FED-803", f"the model of {len(trees)} trees has {len(param.init_score)} first scores")
    numbers = [number for tree in trees for node in tree for number in (node.weight, node.gain)]
    if not np.isfinite([*numbers, *param.init_score]).all() or not 0 <= meta.threshold <= 1:
        raise ModelError("FED-803", "the model of the trees has scores that are not finite, or no possible threshold")
    return Read(target, len(param.sites) - 1, trees, np.array(param.init_score), meta.threshold)


def _target(meta: pb.BoostingTreeModelMeta) -> Target:
    """The loss and the classes of a model."""
    loss = {"objective": meta.objective_meta.objective, "params": list(meta.objective_meta.param) or None}
    try:
        p = SecureBoostParams.model_validate({"task_type": meta.task_type, "objective_param": loss})
    except ValidationError:
        raise ModelError("FED-803", "the model of the trees names a task or a loss that there is not") from None
    values = np.array(meta.label_values)
    many = (len(values) > 1) == (p.task_type == "classification") and len(values) != 1
    if not (many and np.isfinite(values).all() and (np.diff(values) > 0).all()):
        raise ModelError(
            "FED-803", f"the model of the trees has {len(values)} classes that are none of a {p.task_type}"
        )
    return Target(objective_of(p, len(values)), tuple(meta.label_values))


def _read_tree(stored: pb.DecisionTreeModelParam, hosts: Sequence[str], own: int) -> tuple[Tree, int]:
    """A tree, and how many splits the guest has with it."""
    tree = []
    if not stored.tree_:
        raise ModelError("FED-803", "the model has a tree without a node")
    for at, node in enumerate(stored.tree_):
        if node.id != at:
            raise ModelError("FED-803", f"node {at} of a tree has another number")
        found = TreeNode(node.weight, stored.leaf_count.get(node.id, 0))
        if not node.is_leaf:
            if not (at < node.left_nodeid < len(stored.tree_) and at < node.right_nodeid < len(stored.tree_)):
                raise ModelError("FED-803", f"node {at} of a tree has children that are not behind it")
            found.left, found.right, found.column = node.left_nodeid, node.right_nodeid, node.fid
            found.gain = node.gain
            if node.id in stored.split_maskdict:
                found.party, found.split, own = GUEST, own, own + 1
            elif node.sitename in hosts and 0 <= node.bid < MOST_SPLITS and node.bid.is_integer():
                found.party, found.split = 1 + hosts.index(node.sitename), int(node.bid)
            else:
                raise ModelError("FED-803", f"node {at} of a tree is not split by what the model names")
        tree.append(found)
    return tree, own


def _meta(p: SecureBoostParams) -> pb.BoostingTreeModelMeta:
    tree = p.tree_param
    return pb.BoostingTreeModelMeta(
        tree_meta=pb.DecisionTreeModelMeta(
            criterion_meta=pb.CriterionMeta(
                criterion_method=tree.criterion_method, criterion_param=tree.criterion_params
            ),
            max_depth=tree.max_depth,
            min_sample_split=tree.min_sample_split,
            min_impurity_split=tree.min_impurity_split,
            min_leaf_node=tree.min_leaf_node,
            use_missing=p.use_missing,
            zero_as_missing=p.zero_as_missing,
        ),
        learning_rate=p.learning_rate,
        num_trees=p.num_trees,
        quantile_meta=pb.QuantileMeta(quantile_method="exact", bin_num=p.bin_num),
        task_type=p.task_type,
        n_iter_no_change=p.n_iter_no_change,
        tol=p.tol,
        need_run=p.need_run,
        protocol=p.protocol,
        threshold=p.predict_param.threshold,
    )


def _tree(tree: Tree, splits: Sequence[Threshold], names: Sequence[str]) -> pb.DecisionTreeModelParam:
    found = pb.DecisionTreeModelParam()
    for number, node in enumerate(tree):
        if node.party == LEAF:
            found.tree_.add(id=number, weight=node.weight, is_leaf=True)
            found.leaf_count[number] = node.rows
            continue
        stored = found.tree_.add(
            id=number,
            sitename=names[node.party],
            weight=node.weight,
            gain=node.gain,
            left_nodeid=node.left,
            right_nodeid=node.right,
            fid=node.column,
            bid=node.split,
        )
        if node.party == GUEST:
            _own(found, stored, splits[node.split])
    return found


def _own(tree: pb.DecisionTreeModelParam, node: pb.NodeParam, split: Threshold) -> None:
    node.fid, node.bid = split.column, split.value
    node.missing_dir = LEFT if split.missing_left else RIGHT
    tree.split_maskdict[node.id] = split.value
    tree.missing_dir_maskdict[node.id] = node.missing_dir


def _names(header: Sequence[str], used: Iterable[Used], guest: str) -> dict[tuple[str, int], str]:
    """Shown names of columns: a host's are numbers."""
    return {
        (split.sitename, split.feature): header[split.feature]
        if split.sitename == guest
        else f"{split.sitename}_{split.feature}"
        for split in used
    }
