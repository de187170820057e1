"""A boosted training at the guest, the same under every protocol: it alone knows labels, scores and trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from federatedml.component import Inputs, Outputs
from federatedml.components.lr_row_weights import without_weights
from federatedml.components.prediction_table import stacked
from federatedml.components.tree_agreement import NEXT, agree, keeps
from federatedml.components.tree_columns import Binned, binned
from federatedml.components.tree_grow import Grower
from federatedml.components.tree_hosts import Bits, Hosts, NoHosts, OpenHosts, Start
from federatedml.components.tree_looks import Looks, check_held_out, last_look
from federatedml.components.tree_model import GUEST_PARAM, Grown, guest_buffers
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_sampling import columns_of_tree, goss
from federatedml.components.tree_splits import Rules
from federatedml.components.tree_state import NO_SCORES, GuestState
from federatedml.components.tree_target import Target, check_cover, row_weights
from federatedml.components.tree_views import views_of
from federatedml.components.tree_warm import begun_with, continued
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Role


@dataclass
class _Run:
    """All that the guest has at hand."""

    p: SecureBoostParams
    box: Box
    target: Target
    table: Table
    labels: Floats
    weights: Floats
    own: Binned
    hosts: Hosts
    looks: Looks
    state: GuestState


def train(p: SecureBoostParams, box: Box, inputs: Inputs, open_hosts: OpenHosts) -> Outputs:
    """Train on the labels; gives predictions of all rows and the guest's part of the model."""
    run = _started(p, box, inputs, open_hosts)
    _rounds(run)
    run.looks.add(run.state, run.table.header, last_look(p))
    return _finished(run, inputs)


def rules_of(p: SecureBoostParams) -> Rules:
    """What splits and leaves must be, by the parameters."""
    tree = p.tree_param
    return Rules(
        tree.max_depth,
        tree.l2,
        tree.l1,
        tree.min_impurity_split,
        tree.min_child_weight,
        tree.min_leaf_node,
        tree.min_sample_split,
        p.min_cell_rows,
        p.learning_rate,
        p.run_goss,
    )


def training_tables(p: SecureBoostParams, box: Box, inputs: Inputs) -> tuple[Table, Table | None]:
    """Rows to train on and to validate, without the column that weighs rows.

    Raises:
        DataError: FED-806, there are no rows to train on.
    """
    name = p.sample_weight_name if box.me.role is Role.GUEST else None
    table = without_weights(inputs.one("train_data", "data"), name)
    if not len(table):
        raise DataError("FED-806", "there are no rows to train on", "check the tables, or Intersection")
    return table, without_weights(inputs.one("eval_data"), name) if inputs.data.get("eval_data") else None


def _started(p: SecureBoostParams, box: Box, inputs: Inputs, open_hosts: OpenHosts) -> _Run:
    table, held_out = training_tables(p, box, inputs)
    target = Target.of(p, table)
    labels, weights = target.labels(table), row_weights(p, inputs.one("train_data", "data"))
    check_cover(p, weights)
    own, members = binned(p, table), sorted(member for member in box.members if member.role is Role.HOST)
    before = begun_with(inputs, GUEST_PARAM)
    width = agree(p, box, table, before is not None, target.objective.width)
    check_held_out(p, box, held_out)
    looks = Looks(p, box, target, members, held_out)
    if box.resume is not None:
        state = GuestState.unpack(box.resume.state)
    elif before is not None:
        state = continued(p, box, before, table, target, members)
    else:
        state = _begun(target.objective.start(labels, weights), len(table), len(members))
    if box.resume is None and held_out is not None:
        state.held_out = np.tile(state.start, (len(held_out), 1))
    looks.patience.restore([] if box.resume is None else np.atleast_1d(box.resume.state["looks"]).tolist())
    hosts = open_hosts(p, box, Start(len(table), width, state.rounds, tuple(state.made)))
    return _Run(p, box, target, table, labels, weights, own, hosts, looks, state)


def _begun(start: Floats, rows: int, hosts: int) -> GuestState:
    return GuestState(start, 0, np.tile(start, (rows, 1)), NO_SCORES, [], [], [0] * hosts, [0] * (2 + hosts))


def _rounds(run: _Run) -> None:
    p, box, state = run.p, run.box, run.state
    rules, compute = rules_of(p), box.compute
    alone = Grower(rules, run.own.table, NoHosts(), compute)
    together = Grower(rules, run.own.table, run.hosts, compute)
    while state.rounds < p.num_trees:
        round = state.rounds
        box.send(NEXT, np.array([not state.stopped], np.uint8), round)
        run.hosts.go(not state.stopped, round)
        if state.stopped:
            return
        _grow(run, alone if round < p.complete_secure else together)
        run.looks.after(state, run.table.header)
        if keeps(p, len(run.table), len(state.start), state.rounds):
            box.checkpoint(state.rounds, {**state.pack(), "looks": run.looks.patience.state()})
        box.progress(state.rounds / p.num_trees, f"round {state.rounds} of at most {p.num_trees}")


def _grow(run: _Run, grower: Grower) -> None:
    """One round, its loss, and whether it is the last one by that."""
    p, state = run.p, run.state
    grown = grower.grow(state.rounds, _gradients(run), len(state.splits), _drawn(run), run.weights)
    for split in grown.splits:
        state.splits.append(run.own.threshold(split))
    state.trees += grown.trees
    for node in (node for tree in grown.trees for node in tree if node.party > 0):
        state.made[node.party - 1] = max(state.made[node.party - 1], 1 + node.split)
    state.scores += grown.values
    loss = float(np.average(run.target.objective.losses(run.labels, state.scores), weights=run.weights))
    if not np.isfinite(loss):
        raise DataError("FED-807", "training runs away: the loss is not finite", "a smaller learning_rate")
    state.converged = bool(p.n_iter_no_change and state.losses and abs(state.losses[-1] - loss) < p.tol)
    state.stopped = state.converged
    state.losses.append(loss)
    run.box.metric("train", "loss", state.rounds, loss, round=state.rounds)


def _gradients(run: _Run) -> Floats:
    """(n, 2 k) weighted g and h of each class, zeros for rows that are not drawn."""
    g, h = run.target.objective.derivatives(run.labels, run.state.scores)
    factors = run.weights
    if run.p.run_goss:
        p = run.p
        sample = goss(g * factors[:, None], p.top_rate, p.other_rate, p.random_seed, run.state.rounds)
        drawn = np.zeros(len(g))
        drawn[sample.rows] = sample.factors
        factors = factors * drawn
    return np.stack([g, h], axis=2).reshape(len(g), -1) * factors[:, None]


def _drawn(run: _Run) -> Bits | None:
    """Which own columns the round's trees may use."""
    p, columns = run.p, len(run.table.header)
    if p.subsample_feature_rate >= 1:
        return None
    found = np.zeros(columns, bool)
    found[columns_of_tree(p.random_seed, run.box.me, run.state.rounds, columns, p.subsample_feature_rate)] = True
    return found


def _finished(run: _Run, inputs: Inputs) -> Outputs:
    p, state, target = run.p, run.state, run.target
    rounds = state.best.rounds or state.rounds
    members = (run.box.me, *run.looks.members)
    trees = state.trees[: (state.base + rounds) * len(state.start)]
    grown = Grown(members, trees, state.splits, state.start, state.losses, state.best.rounds)
    model = guest_buffers(p, target, run.table.header, grown)
    summary = {
        "rows": len(run.table),
        "trees": len(trees),
        "rounds": state.rounds,
        "loss": state.losses[rounds - 1],
        "is_converged": float(state.converged),
    } | ({"best_round": state.best.rounds} if state.best.rounds else {})
    return Outputs(stacked(list(_predictions(run, inputs))), model, views_of(model, state.losses), summary)


def _predictions(run: _Run, inputs: Inputs) -> Iterator[Table]:
    state, p = run.state, run.p
    parts = [(run.table, "train", state.best.scores if state.best.rounds else state.scores)]
    if run.looks.table is not None:
        held_out = state.best.held_out if state.best.rounds else state.held_out
        parts.append((run.looks.table, "validate", held_out))
    for rows, kind, scores in parts:
        predicted = run.target.objective.predict(scores)
        yield run.target.table(rows, predicted, p.predict_param.threshold, kind, run.box.attempt.component)
