"""The messages of HeteroSecureBoost under protocol ``paillier`` while trees grow, and what each role learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.vector import PackedCodec, Reply, Sealed
from federatedml.federation.party import Role
from federatedml.federation.topic import MIB, Carries, Topic
from federatedml.federation.wire import Tensors, Vector

GUEST, HOST = (Role.GUEST,), (Role.HOST,)
CIPHERTEXTS_BYTES = 2048 * MIB
ROWS_BYTES = 512 * MIB

KEY = Topic(
    "paillier_key", GUEST, HOST, Vector("|u1"), Carries.PUBLIC_KEY, "nothing: the guest's public key of this attempt"
)
DRAWN = Topic(
    "drawn_rows",
    GUEST,
    HOST,
    Vector("|u1"),
    Carries.CONTROL,
    "run_goss only: which rows the round uses; those with the largest gradients are always among them, and the model "
    "is most wrong about these",
    ROWS_BYTES,
)
GRADIENTS = Topic(
    "encrypted_gradients",
    GUEST,
    HOST,
    PackedCodec(Sealed),
    Carries.CIPHERTEXT,
    "nothing without the guest's key: one fresh ciphertext of first and second derivatives a row",
    CIPHERTEXTS_BYTES,
)
TOLD = Topic(
    "told_candidates",
    HOST,
    GUEST,
    Vector("<i8"),
    Carries.CONTROL,
    "how many split candidates the host's columns have in this round: those with min_leaf_node rows on both sides",
)
NODES = Topic(
    "nodes",
    GUEST,
    HOST,
    Vector("|u1", 2),
    Carries.CONTROL,
    "which rows are together in a node, for one of each two children; rows of a node have similar labels, and more so "
    "the deeper it is (complete_secure keeps the first trees from hosts)",
    ROWS_BYTES,
)
SUMS = Topic(
    "encrypted_sums",
    HOST,
    GUEST,
    PackedCodec(Reply),
    Carries.AGGREGATE,
    "for each node that it named and each split candidate of the host the sums of its own gradients over the rows that "
    "go left. Candidates are in an order of the host's that is drawn anew for each round; of a node with few rows the "
    "sums tell which of them go left",
    CIPHERTEXTS_BYTES,
)
COUNTS = Topic(
    "counts",
    HOST,
    GUEST,
    Vector("<u4", 2),
    Carries.AGGREGATE,
    "min_leaf_node above 1 only: how many rows go left at each candidate of each node that it named",
    ROWS_BYTES,
)
CUTS = Topic(
    "cuts",
    GUEST,
    HOST,
    Tensors({"rows": ("|u1", 2), "tied": ("<u4", 1), "ends": ("<u4", 1)}),
    Carries.CONTROL,
    "which of its split candidates split nodes of a level, which ones are equally good there, and the nodes' rows",
    ROWS_BYTES,
)
BITS = Topic(
    "node_sides",
    HOST,
    GUEST,
    Tensors({"columns": ("<u4", 1), "left": ("|u1", 1)}),
    Carries.ROW_VALUES,
    "for each node that the host splits which of its rows go left, and the number of the column, without name and cut",
    ROWS_BYTES,
)
TOPICS = (KEY, DRAWN, GRADIENTS, TOLD, NODES, SUMS, COUNTS, CUTS, BITS)

LEARNS = {
    Role.GUEST: (
        "of each host, per round, sums of its own gradients over the rows left of every split candidate in every node, "
        "under pseudonyms that are drawn anew each round; small nodes name rows. A dishonest guest that chooses its "
        "gradients reads for each candidate of a round of some 80 rows (as many as two sums have bits, for each class) "
        "whether they go left; one that keeps to the protocol nothing more than the sums",
        "with k classes, of every node the sums for all k classes",
    ),
    Role.HOST: (
        "which rows come to the nodes of every tree, not the values of leaves: labels of rows that are often together "
        "are alike (complete_secure, larger min_leaf_node and fewer levels lessen it)",
        "which of its own columns and cuts are used",
    ),
}


def topics_of(p: SecureBoostParams) -> Sequence[Topic[Any]]:
    """Those that a training with these parameters may send."""
    unused = {DRAWN.name: not p.run_goss, COUNTS.name: p.tree_param.min_leaf_node == 1}
    return [topic for topic in TOPICS if not unused.get(topic.name, False)]
