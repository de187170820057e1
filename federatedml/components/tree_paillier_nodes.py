"""Which nodes a host answers about: a guest that keeps to the protocol names no others.

Whoever may name any rows reads single ones: the sums of two sets of rows that differ in one row tell its gradient at
each candidate, so where it goes. A guest that chooses its gradients can still do so, see ``tree_paillier_topics``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federatedml.components.tree_hosts import Bits
from federatedml.components.tree_paillier_plan import PaillierPlan
from federatedml.errors import ProtocolError
from federatedml.federation.wire import Array

PackedRows = NDArray[np.uint8]


def packed(rows: Bits) -> PackedRows:
    """(..., bytes) of (..., n) bits."""
    return np.packbits(rows, axis=-1)


def unpacked(rows: Array, count: int) -> Bits:
    """(q, count) bits of a peer's (q, bytes).

    Raises:
        ProtocolError: FED-821, another length, or bits behind the last row.
    """
    if not len(rows):
        return np.zeros((0, count), bool)
    if rows.shape[1] != -(-count // 8) or (count % 8 and (rows[:, -1] & (0xFF >> count % 8)).any()):
        raise ProtocolError("FED-821", f"rows come as {rows.shape[1]} bytes, not as bits of {count} rows")
    return np.unpackbits(rows, axis=1, count=count).astype(bool)


class KnownNodes:
    """The nodes of a round's trees so far, as a host knows them.

    Args:
        used: (n,) rows that the round uses; None: all.
    """

    def __init__(self, plan: PaillierPlan, used: Bits | None = None) -> None:
        self._plan, self._level = plan, 0
        self._used = np.ones(plan.rows, bool) if used is None else used
        self._may_split = packed(np.ones((1, plan.rows), bool))

    def named(self, rows: Array) -> Bits:
        """(q, n) the nodes of the next level that the guest wants sums of.

        Raises:
            ProtocolError: FED-821, they are more than the plan has, have too few used rows, or are no part of a node
                of the level above.
        """
        nodes, plan = unpacked(rows, self._plan.rows), self._plan
        if not len(nodes):
            return nodes
        if len(nodes) > plan.most_nodes(self._level) or nodes[:, self._used].sum(axis=1).min() < plan.least_rows:
            raise ProtocolError("FED-821", f"{len(nodes)} nodes of level {self._level} are named, or one of few rows")
        if not self._level and not nodes.all():
            raise ProtocolError("FED-821", "the first node of a tree has all rows")
        self._may_split = np.unique(np.concatenate([self._with_sibling(node) for node in rows]), axis=0)
        self._level += 1
        return nodes

    def cut(self, rows: Array, trees: int) -> Bits:
        """(q, n) the nodes of the level that the guest wants the host to split.

        Raises:
            ProtocolError: FED-821, a node is none that was named, nor the other child of its parent.
        """
        known = {node.tobytes() for node in self._may_split}
        asked = [np.ascontiguousarray(node).tobytes() for node in rows]
        if not known.issuperset(asked) or any(asked.count(node) > trees for node in set(asked)):
            raise ProtocolError("FED-821", "a node is to be split whose sums were not asked for, or twice")
        return unpacked(rows, self._plan.rows)

    def _with_sibling(self, node: PackedRows) -> PackedRows:
        """The node and, for every node that it may be a child of, the other child."""
        parents = self._may_split[~(node & ~self._may_split).any(axis=1)]
        if not len(parents):
            raise ProtocolError("FED-821", "a node is named that is no part of a node of the level above")
        return np.concatenate([node[None], parents & ~node])
