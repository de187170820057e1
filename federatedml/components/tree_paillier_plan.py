"""What both sides of protocol ``paillier`` know before trees grow."""

from __future__ import annotations

from dataclasses import dataclass

from federatedml.components.tree_hosts import Start
from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.packing import Packing
from federatedml.errors import DataError

SCALE_BITS = 32  # of gradients that are scaled to at most 1: sums are as exact as those of single floats


@dataclass(frozen=True)
class PaillierPlan:
    """Public numbers of a training.

    Attributes:
        rows: of the table.
        classes: trees of a round.
        depth: levels of splits.
        least_rows: of a node that hosts are asked about.
        least_side: of each side of a split; above 1, hosts count rows.
        sampled: whether a round uses some rows only.
        key_bits: length of the guest's key.
    """

    rows: int
    classes: int
    depth: int
    least_rows: int
    least_side: int
    sampled: bool
    key_bits: int

    @staticmethod
    def of(p: SecureBoostParams, start: Start) -> PaillierPlan:
        """The plan of parameters and shapes."""
        tree, key_bits = p.tree_param, p.encrypt_param.key_length
        least = max(tree.min_sample_split, 2 * tree.min_leaf_node, 2 * p.min_cell_rows * start.copies)
        return PaillierPlan(start.rows, start.classes, tree.max_depth, least, tree.min_leaf_node, p.run_goss, key_bits)

    @property
    def counted(self) -> bool:
        """Whether sums come with numbers of rows."""
        return self.least_side > 1

    def packing(self, public: PublicKey, rows: int) -> Packing:
        """How g and h of all classes stand in one ciphertext a row.

        Args:
            rows: that the round uses.

        Raises:
            DataError: FED-823, the classes do not fit one ciphertext.
        """
        most = (public.bits - 2) // (2 * (SCALE_BITS + 1 + rows.bit_length()))
        if self.classes > most:
            raise DataError(
                "FED-823",
                f"{self.classes} classes do not fit one ciphertext of {public.bits} bits a row",
                f"at most {most} classes, a longer key_length, or protocol 'shared'",
            )
        return Packing.of(public, 1.0, rows, 2 * self.classes, SCALE_BITS)

    def exchange(self, round: int, level: int) -> int:
        """Number of a level's messages."""
        return round * self.depth + level

    def most_nodes(self, level: int) -> int:
        """How many nodes of all classes are asked about at a level: one of each two children."""
        return int(self.classes << max(level - 1, 0))
