"""The messages of HeteroFeatureBinning under each protocol, and what each role learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from federatedml.components.common_rows import SAME_ROWS
from federatedml.crypto.dealt.messages import Block, Correction
from federatedml.crypto.vector import PackedCodec, Reply, Sealed
from federatedml.federation.party import Role
from federatedml.federation.topic import MIB, Carries, Topic
from federatedml.federation.wire import Tensors, Vector

BETWEEN = (Role.GUEST, Role.HOST)
ROWS_BYTES = 1024 * MIB
UNIFORM = "nothing: uniform without the arbiter's words"

BINS = Topic(
    "bins",
    (Role.HOST,),
    (Role.GUEST,),
    Tensors({"columns": ("<u4", 1), "sizes": ("<u4", 1), "missing": ("|u1", 1), "counts": ("<i8", 1)}),
    Carries.AGGREGATE,
    "of each binned column of the host its position, the number of rows in each bin, and whether the last bin is that "
    "of missing values; neither names nor split points",
)
KEY = Topic(
    "paillier_key",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("|u1"),
    Carries.PUBLIC_KEY,
    "nothing: the public key of this attempt",
    4096,
)
LABELS = Topic(
    "encrypted_labels",
    (Role.GUEST,),
    (Role.HOST,),
    PackedCodec(Sealed),
    Carries.CIPHERTEXT,
    "nothing without the guest's key: a fresh ciphertext per row",
    ROWS_BYTES,
)
SUMS = Topic(
    "event_sums",
    (Role.HOST,),
    (Role.GUEST,),
    PackedCodec(Reply),
    Carries.AGGREGATE,
    "how many rows of each bin have label 1: its only view of which rows are in a bin. A guest that does not keep to "
    "the protocol and seals other numbers than labels reads as many bits per bin as the numbers of rows have, and one",
)
SETUP = Topic(
    "map_shape",
    (Role.HOST,),
    (Role.GUEST, Role.ARBITER),
    Tensors({"setup": ("|u1", 1), "shape": ("<i8", 1)}),
    Carries.CONTROL,
    "the number of rows, and of bins of all binned columns of the host together",
    4096,
)
ROWS = Topic(
    "rows",
    (Role.GUEST,),
    (Role.ARBITER,),
    Vector("<i8"),  # (1,)
    Carries.CONTROL,
    "the number of rows",
    4096,
)
SEED = Topic(
    "seed",
    (Role.ARBITER,),
    BETWEEN,
    Vector("|u1"),
    Carries.RANDOMNESS,
    "nothing: 32 random bytes of this attempt",
    4096,
)
CORRECTION = Topic(
    "correction",
    (Role.ARBITER,),
    (Role.GUEST,),
    PackedCodec(Correction),
    Carries.RANDOMNESS,
    "nothing: uniform without the host's seed",
)
MASKED_BINS = Topic("masked_bins", (Role.HOST,), (Role.GUEST,), PackedCodec(Block), Carries.MASKED, UNIFORM)
MASKED_LABELS = Topic(
    "masked_labels", (Role.GUEST,), (Role.HOST,), PackedCodec(Sealed), Carries.MASKED, UNIFORM, ROWS_BYTES
)
SHARED_SUMS = Topic(
    "event_shares",
    (Role.HOST,),
    (Role.GUEST,),
    PackedCodec(Reply),
    Carries.SHARES,
    "how many rows of each bin have label 1: its only view of which rows are in a bin. A guest that does not keep to "
    "the protocol and seals other numbers than labels reads 32 bits per bin",
)

TOPICS: Mapping[str, Sequence[Topic[Any]]] = {
    "paillier": (SAME_ROWS, BINS, KEY, LABELS, SUMS),
    "shared": (SAME_ROWS, BINS, ROWS, SETUP, SEED, CORRECTION, MASKED_BINS, MASKED_LABELS, SHARED_SUMS),
}
_GUEST = (
    "of each host's binned columns, by position: rows, events, WOE and IV of each bin of at least min_bin_rows rows; "
    "jobs with other bins, or other labels, on the same rows tell further sums, whose differences may be about few "
    "rows: each host counts them over jobs"
)
_HOST = "nothing of the labels: neither events nor WOE nor IV of its own columns"
LEARNS: Mapping[str, Mapping[Role, Sequence[str]]] = {
    "paillier": {Role.GUEST: (_GUEST,), Role.HOST: (_HOST,)},
    "shared": {
        Role.GUEST: (_GUEST, "together with the arbiter it could read every row's bins: the two must not collude"),
        Role.HOST: (_HOST, "together with the arbiter it could read the labels: the two must not collude"),
        Role.ARBITER: (
            "nothing about data, provided that it cannot read what guest and hosts exchange: "
            "they talk directly, encrypted end to end",
        ),
    },
}
