"""The messages of HeteroLR under protocol ``paillier``, and what each role learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from federatedml.components.common_rows import BETWEEN
from federatedml.components.lr_agreement import AGREEMENT, SHAPE
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_row_weights import HEAVY_ROWS
from federatedml.crypto.vector import Opened, PackedCodec, Reply, Sealed
from federatedml.federation.party import Role
from federatedml.federation.topic import MIB, Carries, Topic
from federatedml.federation.wire import Vector

CIPHERTEXTS_BYTES = 1024 * MIB
FRESH = "nothing without the arbiter's key: fresh ciphertexts"

KEY = Topic(
    "paillier_key",
    (Role.ARBITER,),
    BETWEEN,
    Vector("|u1"),
    Carries.PUBLIC_KEY,
    "nothing: the public key of this attempt",
)
PREDICTOR = Topic(
    "encrypted_predictor",
    (Role.HOST,),
    (Role.GUEST,),
    PackedCodec(Sealed),
    Carries.CIPHERTEXT,
    FRESH,
    CIPHERTEXTS_BYTES,
)
RESIDUAL = Topic(
    "encrypted_residual",
    (Role.GUEST,),
    (Role.HOST,),
    PackedCodec(Sealed),
    Carries.CIPHERTEXT,
    FRESH,
    CIPHERTEXTS_BYTES,
)
GRADIENT = Topic(
    "masked_gradient",
    BETWEEN,
    (Role.ARBITER,),
    PackedCodec(Reply),
    Carries.MASKED,
    "nothing: decrypts to numbers that are uniform modulo the key",
)
OPENED = Topic(
    "decrypted_gradient",
    (Role.ARBITER,),
    BETWEEN,
    PackedCodec(Opened),
    Carries.AGGREGATE,
    "the gradient of its own weights, batch by batch: as many linear equations in the residuals of the batch's rows as "
    "it has columns, and residuals tell labels and the others' predictors",
)
SQUARES = Topic("encrypted_squares", (Role.HOST,), (Role.GUEST,), PackedCodec(Sealed), Carries.CIPHERTEXT, FRESH, MIB)
LOSS = Topic(
    "masked_loss",
    (Role.GUEST,),
    (Role.ARBITER,),
    PackedCodec(Reply),
    Carries.MASKED,
    "nothing: decrypts to a number that is uniform modulo the key",
    MIB,
)
OPENED_LOSS = Topic(
    "decrypted_loss",
    (Role.ARBITER,),
    (Role.GUEST,),
    PackedCodec(Opened),
    Carries.AGGREGATE,
    "mean loss over all rows with the penalty of all weights, once an epoch (one host only)",
    MIB,
)
MOVED = Topic(
    "weight_change",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("<f8"),
    Carries.AGGREGATE,
    "how far the host's weights moved, once an epoch (converge_func 'weight_diff' only)",
)
VERDICT = Topic(
    "verdict",
    (Role.GUEST,),
    (Role.HOST, Role.ARBITER),
    Vector("|u1"),
    Carries.CONTROL,
    "once an epoch, whether training stops, whether it converged, and whether it was the best on the validation rows",
)
_LOSS = (SQUARES, LOSS, OPENED_LOSS)
TOPICS = (AGREEMENT, SHAPE, KEY, PREDICTOR, RESIDUAL, GRADIENT, OPENED, *_LOSS, MOVED, VERDICT)

LEARNS = {
    Role.GUEST: (
        "its own weights and the intercept, and the gradients on the way to them: in each batch as many linear "
        "equations in the hosts' predictors as it has weights",
        "the hosts' parts of the score of every row that is predicted",
        "together with the arbiter it could read the hosts' predictors: the two must not collude",
    ),
    Role.HOST: (
        "its own weights, and the gradients on the way to them: in each batch as many linear equations in labels and "
        "the other parties' predictors as it has columns",
        HEAVY_ROWS,
        "together with the arbiter it could read labels and the other parties' predictors: the two must not collude",
    ),
    Role.ARBITER: (
        "nothing about data, provided that it cannot read what guest and hosts exchange: "
        "they talk directly, encrypted end to end",
    ),
}


def topics_of(p: LogisticParams) -> Sequence[Topic[Any]]:
    """Those that a training with these parameters may send."""
    return [topic for topic in TOPICS if topic is not MOVED or p.converge_func == "weight_diff"]
