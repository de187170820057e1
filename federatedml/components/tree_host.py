"""A boosted training at a host, the same under every protocol: it answers, and keeps the splits that were chosen."""

from __future__ import annotations

import numpy as np

from federatedml.component import Inputs, Outputs
from federatedml.components.tree_agreement import NEXT, agree, keeps
from federatedml.components.tree_columns import Threshold, binned
from federatedml.components.tree_guest import training_tables
from federatedml.components.tree_hosts import OpenAnswers, Start
from federatedml.components.tree_looks import HostLooks, check_held_out, due, last_look
from federatedml.components.tree_model import HOST_PARAM, host_buffers
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_state import packed, unpacked
from federatedml.components.tree_warm import begun_with, old_splits, tell_old_bits
from federatedml.federation.box import Box
from federatedml.federation.checkpoint import State


def answer(p: SecureBoostParams, box: Box, inputs: Inputs, open_answers: OpenAnswers) -> Outputs:
    """Answer the guest's questions; gives the host's part of the model."""
    table, held_out = training_tables(p, box, inputs)
    own = binned(p, table, p.min_cell_rows * table.copies)
    before = begun_with(inputs, HOST_PARAM)
    classes, copies = agree(p, box, table, before is not None)
    check_held_out(p, box, held_out)
    splits, older = ([], []) if before is None else old_splits(p, before, table)
    if before is not None and box.resume is None:
        tell_old_bits(p, box, table, splits)
    ends, told = list[int](), 0
    if box.resume is not None:
        splits, ends, told = _restored(box.resume.state)
    looks = HostLooks(p, box, held_out, table.header, told)
    answers = open_answers(p, box, Start(len(table), classes, len(ends), copies), own.table)
    for round in range(len(ends), p.num_trees):
        if not box.recv(NEXT, round).any():
            break
        if round >= p.complete_secure:
            splits += [own.threshold(split) for split in answers.round(round)]
        ends.append(len(splits))
        if due(p, len(ends)):
            looks.tell(splits, len(ends))
        if keeps(p, len(table), classes, len(ends)):
            kept: State = {"splits": packed(splits), "ends": np.array(ends, np.int64), "told": looks.told}
            box.checkpoint(len(ends), kept)
        box.progress(len(ends) / p.num_trees, f"round {len(ends)} of at most {p.num_trees}")
    looks.tell(splits, last_look(p))
    summary = {"rows": len(table), "rounds": len(ends), "splits": len(splits)}
    return Outputs(None, host_buffers(p, box.me, table.header, splits, [*older, *ends]), (), summary)


def _restored(kept: State) -> tuple[list[Threshold], list[int], int]:
    """Splits, how many there were after each round, and of how many bits of validation rows have been told."""
    state = {name: np.array(value) for name, value in kept.items()}
    return unpacked(state["splits"]), state["ends"].tolist(), int(state["told"])
