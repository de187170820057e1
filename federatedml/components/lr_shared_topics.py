"""The messages of HeteroLR under protocol ``shared``, and which of them a training sends."""

from __future__ import annotations

from typing import Any

from federatedml.components.common_rows import BETWEEN, GUESSED
from federatedml.components.lr_agreement import AGREEMENT, SHAPE
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_plan import CORRECTIONS_BYTES, FEATURES_BYTES, ROWS_BYTES, motion_of
from federatedml.components.lr_row_weights import HEAVY_ROWS
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Tensors, Vector

WORDS = Vector("<u8")
UNIFORM = "nothing: uniform without the arbiter's words"

SEED = Topic(
    "seed",
    (Role.ARBITER,),
    BETWEEN,
    Vector("|u1"),
    Carries.RANDOMNESS,
    "nothing: 32 random bytes of this attempt",
)
CORRECTIONS = Topic(
    "corrections",
    (Role.ARBITER,),
    (Role.HOST,),
    WORDS,
    Carries.RANDOMNESS,
    "nothing: shares of dealt randomness, uniform without the others' seeds",
    max_bytes=CORRECTIONS_BYTES,
)
FEATURES = Topic("masked_features", BETWEEN, BETWEEN, Vector("<u8", 2), Carries.MASKED, UNIFORM, FEATURES_BYTES)
LABELS = Topic("masked_labels", (Role.GUEST,), (Role.HOST,), WORDS, Carries.MASKED, UNIFORM, ROWS_BYTES)
SCALES = Topic("masked_row_weights", (Role.GUEST,), (Role.HOST,), WORDS, Carries.MASKED, UNIFORM, ROWS_BYTES)
WEIGHTS = Topic("masked_weights", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM)
ANGLE = Topic("masked_predictor", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM, ROWS_BYTES)
UNSCALED = Topic("masked_unweighted", (Role.HOST,), (Role.GUEST,), WORDS, Carries.MASKED, UNIFORM, ROWS_BYTES)
ROUNDING = Topic(
    "masked_rounding",
    BETWEEN,
    BETWEEN,
    WORDS,
    Carries.MASKED,
    "nothing: uniform without the arbiter's words (which way a value was rounded, not the value); "
    "the host's holds its share of z / 2 for the loss too, under another mask",
    3 * ROWS_BYTES,
)
RESIDUAL = Topic("masked_residual", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM, ROWS_BYTES)
STEP = Topic(
    "masked_step",
    BETWEEN,
    BETWEEN,
    Tensors({"residual": ("<u8", 1), "gradient": ("<u8", 1), "weights": ("<u8", 1)}),
    Carries.MASKED,
    UNIFORM,
    ROWS_BYTES + FEATURES_BYTES // 8,
)
UPDATE = Topic("masked_update", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM)
GRADIENT = Topic(
    "opened_gradient",
    BETWEEN,
    BETWEEN,
    Tensors({"residual": ("<u8", 1), "gradient": ("<u8", 1)}),
    Carries.SHARES,
    "the gradient of the receiver's own weights over each batch: for each batch as many equations in the labels and "
    "the other parties' columns as it has weights, which nobody counts over batches, epochs and jobs (the residuals "
    "in the same message are masked)",
    ROWS_BYTES + FEATURES_BYTES // 8,
)
SQUARE_CORRECTION = Topic(
    "square_correction",
    (Role.ARBITER,),
    (Role.HOST,),
    WORDS,
    Carries.RANDOMNESS,
    "nothing: a share of dealt randomness, uniform without the others' seeds",
)
CHANGE = Topic("masked_change", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM)
EPOCH = Topic(
    "epoch_sums",
    (Role.HOST,),
    (Role.GUEST,),
    WORDS,
    Carries.SHARES,
    "mean loss, root mean square of the predictor over all rows and, with converge_func weight_diff, the norm of the "
    "change of all weights, once an epoch (sums of 64 bits)",
)
DECISION = Topic(
    "decision",
    (Role.GUEST,),
    (Role.HOST,),
    Tensors({"stop": ("|u1", 1), "loss": ("<f8", 1)}),
    Carries.AGGREGATE,
    "mean loss over all rows to four digits, once an epoch, whether it was the best on the validation rows, "
    "and when training stops",
)
STOP = Topic("stop", (Role.GUEST,), (Role.ARBITER,), Vector("|u1"), Carries.CONTROL, "the number of epochs")
FINAL = Topic(
    "final_shares", BETWEEN, BETWEEN, WORDS, Carries.SHARES, "the receiver's own weights, those of its own columns only"
)
HELD_OUT = Topic(
    "validation_rows",
    BETWEEN,
    BETWEEN,
    Vector("|u1"),
    Carries.CONTROL,
    f"whether both hold the same validation rows in the same order, and {GUESSED}",
)
HELD_OUT_SHAPE = Topic(
    "validation_shape", BETWEEN, (Role.ARBITER,), Vector("<i8"), Carries.CONTROL, "number of validation rows"
)
HELD_OUT_FEATURES = Topic(
    "masked_validation", BETWEEN, BETWEEN, Vector("<u8", 2), Carries.MASKED, UNIFORM, FEATURES_BYTES
)
HELD_OUT_CORRECTION = Topic(
    "validation_correction",
    (Role.ARBITER,),
    (Role.HOST,),
    WORDS,
    Carries.RANDOMNESS,
    "nothing: shares of dealt randomness, uniform without the others' seeds",
    ROWS_BYTES,
)
HELD_OUT_WEIGHTS = Topic("masked_validation_weights", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM)
HELD_OUT_SCORES = Topic(
    "validation_scores",
    (Role.HOST,),
    (Role.GUEST,),
    WORDS,
    Carries.ROW_VALUES,
    "the hosts' part of the linear predictor of every validation row (with an adaptive optimiser each host's own), "
    "each validation_freqs epochs and, in a fold of a cross validation, after the last one: each time one more linear "
    "combination of the hosts' columns",
    ROWS_BYTES,
)

MODELS_ADD_UP = (
    "at least two rows per weight are demanded; the weights of all models on rows of the same stored table are counted "
    "over jobs, up to one for two rows; where it is not known which table rows are of, those on exactly the same rows"
)
LEARNS = {
    Role.GUEST: (
        "the weights of its own columns and the intercept: up to that many equations in the hosts' data per model",
        MODELS_ADD_UP,
        "each host's part of the score of every row that is predicted",
        "together with the arbiter it could unmask the hosts' columns: the two must not collude",
    ),
    Role.HOST: (
        "the weights of its own columns: up to that many equations in the labels and the others' columns per model",
        MODELS_ADD_UP,
        HEAVY_ROWS,
        "together with the arbiter it could unmask labels and the others' columns: the two must not collude",
    ),
    Role.ARBITER: (
        "nothing about data, provided that it cannot read what guest and hosts exchange: "
        "they talk directly, encrypted end to end",
        "a dishonest arbiter can spoil the model unseen: all parties are taken to follow the protocol",
    ),
}
IN_FOLDS = {  # of a cross validation that opens no gradients
    role: (
        "one model per fold is trained, and no weight of it is opened to anybody; the guest reads the scores of the "
        "rows that the fold leaves out",
        texts[-1],
    )
    if role is not Role.ARBITER
    else texts
    for role, texts in LEARNS.items()
}

_ALWAYS: tuple[Topic[Any], ...] = (
    AGREEMENT,
    SHAPE,
    SEED,
    CORRECTIONS,
    FEATURES,
    LABELS,
    ANGLE,
    ROUNDING,
    EPOCH,
    DECISION,
    STOP,
)
_SHARED = (WEIGHTS, FINAL)
_WEIGHTED = (SCALES, UNSCALED)
_SQUARES = (SQUARE_CORRECTION, CHANGE)
_VALIDATED = (HELD_OUT, HELD_OUT_SHAPE, HELD_OUT_FEATURES, HELD_OUT_CORRECTION, HELD_OUT_WEIGHTS, HELD_OUT_SCORES)
_OF_SHARED_WEIGHTS = (HELD_OUT_FEATURES, HELD_OUT_CORRECTION, HELD_OUT_WEIGHTS)
TOPICS = (*_ALWAYS, *_SHARED, STEP, RESIDUAL, UPDATE, GRADIENT, *_WEIGHTED, *_SQUARES, *_VALIDATED)


def topics_of(p: LogisticParams) -> tuple[Topic[Any], ...]:
    """Those that a training with these parameters sends."""
    motion = motion_of(p)
    found = [*_ALWAYS]
    if motion.opened:
        found += [GRADIENT]
    else:
        found += [*_SHARED, *((RESIDUAL, UPDATE) if motion.exact else (STEP,))]
    found += _WEIGHTED if p.weighs_rows else ()
    found += _SQUARES if p.converge_func == "weight_diff" else ()
    if p.in_fold:
        found = [topic for topic in found if topic is not FINAL]
    if p.validates or p.in_fold:
        found += [topic for topic in _VALIDATED if not (motion.opened and topic in _OF_SHARED_WEIGHTS)]
    return tuple(found)
