"""Messages of HeteroSecureBoost under protocol ``shared``."""

from __future__ import annotations

from typing import Any

from federatedml.components.common_rows import BETWEEN
from federatedml.crypto.dealt.messages import Block, Correction
from federatedml.crypto.vector import PackedCodec
from federatedml.federation.party import Role
from federatedml.federation.topic import MIB, Carries, Topic
from federatedml.federation.wire import Tensors, Vector

ARBITER, GUEST, HOST = (Role.ARBITER,), (Role.GUEST,), (Role.HOST,)
UNIFORM = "nothing: uniform words without the other party's seed"
LARGE = 1024 * MIB

SHAPE = Topic(
    "shape",
    GUEST,
    ARBITER,
    Tensors({"params": ("|u1", 1), "shape": ("<i8", 1)}),
    Carries.CONTROL,
    "number of rows, how many trees a round has, and whether the parameters are its own",
)
TABLE = Topic(
    "table_shape",
    HOST,
    ARBITER,
    Tensors({"setup": ("|u1", 1), "counts": ("<i8", 1), "missing": ("|u1", 1)}),
    Carries.CONTROL,
    "how many bins each column of the host has, and which columns lack values; columns have no names",
    16 * MIB,
)
SETUP = Topic(
    "setup",
    HOST,
    GUEST,
    Tensors({"setup": ("|u1", 1), "shape": ("<i8", 1)}),
    Carries.CONTROL,
    "how many split candidates the host has, and how many sums they are made of: about how many lack values",
)
SEED = Topic(
    "seed",
    ARBITER,
    BETWEEN,
    Vector("|u1"),
    Carries.RANDOMNESS,
    "nothing: a seed of the dealer's that masks the receiver's own messages",
)
BLOCK = Topic("masked_table", HOST, GUEST, PackedCodec(Block), Carries.MASKED, UNIFORM, 128 * MIB)
CREDIT = Topic(
    "block_taken", GUEST, HOST, Vector("|u1"), Carries.CONTROL, "that a block of the masked table has been worked on"
)
DEAL = Topic(
    "deal",
    GUEST,
    ARBITER,
    Vector("|u1"),
    Carries.CONTROL,
    "whether another round of trees follows: the number of rounds",
)
CORRECTION = Topic("correction", ARBITER, GUEST, PackedCodec(Correction), Carries.RANDOMNESS, UNIFORM, 128 * MIB)
SHUFFLE = Topic("order", ARBITER, HOST, PackedCodec(Correction), Carries.RANDOMNESS, UNIFORM, LARGE)
TRIPLES = Topic("triples", ARBITER, GUEST, Vector("|u1", 2), Carries.RANDOMNESS, UNIFORM, LARGE)
LEVEL = Topic(
    "masked_gradients",
    GUEST,
    HOST,
    Tensors({"sealed": ("|u1", 1), "lifted": ("|u1", 1), "last": ("|u1", 1)}),
    Carries.MASKED,
    "how many nodes of a level are asked about, not which rows they have: gradients under fresh uniform masks",
    LARGE,
)
SUMS = Topic(
    "sums",
    HOST,
    GUEST,
    Tensors({"reply": ("|u1", 1), "closed": ("|u1", 1)}),
    Carries.AGGREGATE,
    "for each node that is asked about the sums of gradients and second derivatives (with min_leaf_node above 1 also "
    "the number) of the rows on the left of every split candidate of the host; candidates come without names in an "
    "order that changes every round, but their sums let the guest follow each of them through the rounds: bins of "
    "columns without a name, each with the labels in it; with subsample_feature_rate below 1 also which of them are of "
    "columns that are not drawn for the round, so after some rounds of which column, by its number, each is",
    LARGE,
)
CHOSEN = Topic(
    "chosen",
    GUEST,
    HOST,
    Tensors({"tied": ("<i8", 1), "ends": ("<i8", 1), "trees": ("<i8", 1), "masked": ("|u1", 2)}),
    Carries.CONTROL,
    "which of its split candidates split nodes of a level, of which class's tree, and which are equally good there; "
    "not which rows the nodes have, nor how many: these are masked",
    LARGE,
)
BITS = Topic(
    "left_rows",
    HOST,
    GUEST,
    Tensors({"answer": ("|u1", 2), "columns": ("<i8", 1)}),
    Carries.ROW_VALUES,
    "of each row of a node that the host splits whether it goes left, of no other row; "
    "and which of the host's columns, by its number, the split uses",
    LARGE,
)

LEARNS = {
    Role.GUEST: (
        "bins of few rows name them: hosts merge bins below min_cell_rows rows, and the guest asks about nodes of at "
        "least twice as many only; still the sums of a smaller node follow as a difference if its sibling is asked "
        "about, and a bin may have a single row in a node: its place in that column, which has no name, is then known",
        "a dishonest guest could ask about any rows: at most as many vectors as the plan has, 32 bits of each split "
        "candidate for each",
        "together with the arbiter it could unmask the hosts' columns: the two must not collude",
    ),
    Role.HOST: (
        "which of its split candidates the trees use, and at which level of which round; no label, gradient, weight of "
        "a leaf, count, or row of a node",
        "together with the arbiter it could unmask labels: the two must not collude",
    ),
    Role.ARBITER: (
        "nothing about values, provided that it cannot read what guest and hosts exchange: they talk directly, "
        "encrypted end to end",
        "a dishonest arbiter can spoil the model unseen: all parties are taken to follow the protocol",
    ),
}
TOPICS: tuple[Topic[Any], ...] = (
    SHAPE,
    TABLE,
    SETUP,
    SEED,
    BLOCK,
    CREDIT,
    DEAL,
    CORRECTION,
    SHUFFLE,
    TRIPLES,
    LEVEL,
    SUMS,
    CHOSEN,
    BITS,
)
