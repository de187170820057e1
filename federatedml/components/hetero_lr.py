"""HeteroLR: logistic regression on columns of several parties, who share all rows and show each other none.

The declaration. Who does what is in one module per protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from airfed_proto.v1 import model_pb2
from federatedml.component import (
    Component,
    Inputs,
    MemberParams,
    ModelBuffers,
    ModelSpec,
    Outputs,
    Prediction,
    RoleFunction,
    Scorer,
)
from federatedml.components import hetero_lr_paillier, hetero_lr_shared, lr_paillier_topics, lr_shared_topics
from federatedml.components.common_rows import SAME_ROWS
from federatedml.components.cross_validation import cross_validated
from federatedml.components.encryption_notes import encryption_notes, prediction_notes
from federatedml.components.linear_model import logistic
from federatedml.components.lr_agreement import params_digest
from federatedml.components.lr_classes import classes_of, joined, split
from federatedml.components.lr_params import ADAPTIVE, LogisticParams
from federatedml.components.lr_predict import PARTIAL, partial_of, parts_per_row, predicted, send_partial
from federatedml.components.lr_release import EQUATIONS, ROWS
from federatedml.components.lr_result import META, PARAM
from federatedml.components.lr_validation import Watch
from federatedml.components.one_vs_rest import AGAINST, CLASSES, Classifiers, of_the_guest, one_vs_rest
from federatedml.components.one_vs_rest import LEARNS as OF_CLASSES
from federatedml.crypto.paillier.keys import DEFAULT_BITS
from federatedml.errors import DslError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Topic

PROTOCOLS: Mapping[str, Mapping[Role, RoleFunction]] = {
    "shared": hetero_lr_shared.ROLES,
    "paillier": hetero_lr_paillier.ROLES,
}
KEPT = Classifiers(ModelSpec({META: model_pb2.LRModelMeta, PARAM: model_pb2.LRModelParam}), joined, split)
ALWAYS: Sequence[Topic[Any]] = (CLASSES, SAME_ROWS, PARTIAL)
TOPICS: Mapping[str, Sequence[Topic[Any]]] = {
    "shared": lr_shared_topics.TOPICS,
    "paillier": lr_paillier_topics.TOPICS,
}
SENT: Mapping[str, Callable[[LogisticParams], Sequence[Topic[Any]]]] = {
    "shared": lr_shared_topics.topics_of,
    "paillier": lr_paillier_topics.topics_of,
}
LEARNS: Mapping[str, Mapping[Role, Sequence[str]]] = {
    "shared": lr_shared_topics.LEARNS,
    "paillier": lr_paillier_topics.LEARNS,
}


def _by_protocol(role: Role) -> RoleFunction:
    """The role's function: passes data through, predicts, or trains under the protocol that the parameters name."""

    train = {
        name: cross_validated(one_vs_rest(roles[role], KEPT, of_the_guest, _check_looks), lambda p: True)
        for name, roles in PROTOCOLS.items()
    }

    def run(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
        if not p.need_run:
            return Outputs(data=None if role is Role.ARBITER else inputs.one("train_data", "data", "eval_data"))
        if inputs.model is not None:
            return _predict(role, box, inputs, inputs.model)
        return train[p.protocol](p, box, inputs)

    return run


def _check_looks(p: LogisticParams, inputs: Inputs) -> None:
    """At the guest, whether the held-out rows of a class against the rest have what is looked at; else ``FED-897``."""
    for table in inputs.data.get("eval_data", ()):
        Watch.of(p, table, AGAINST)


def _predict(role: Role, box: Box, inputs: Inputs, model: ModelBuffers) -> Outputs:
    """All rows with a fitted model; only the guest gets scores."""
    if role is Role.ARBITER:
        return Outputs(model=model)
    table = inputs.one("data", "eval_data", "train_data")
    found = None
    if role is Role.GUEST:
        found = predicted(box, model, table, 0, "predict")
    else:
        send_partial(box, model, table, 0)
    return Outputs(found, model, summary={"rows": len(table)})


def _settle(submitted: MemberParams) -> MemberParams:
    """``DslError`` unless the roles fit the protocol and all have the same parameters.

    ``predict_param`` and ``party_weight`` may differ: one is the guest's own, the other has no effect.

    An arbiter that is also the guest or a host could unmask the other ones, whatever the topics say: refused.
    """
    p = cast(LogisticParams, next(iter(submitted.values())))
    roles = Counter(member.role for member in submitted)
    if roles[Role.GUEST] != 1 or roles[Role.ARBITER] != 1 or not roles[Role.HOST]:
        found = ", ".join(str(member.role) for member in sorted(submitted))
        raise DslError("FED-181", f"HeteroLR runs with {found}", "one guest, one arbiter, one host or more")
    arbiter = next(member.party for member in submitted if member.role is Role.ARBITER)
    if any(member.party == arbiter for member in submitted if member.role is not Role.ARBITER):
        raise DslError("FED-182", f"HeteroLR: party {arbiter} is the arbiter and more", "the arbiter is a party apart")
    if len({params_digest(cast(LogisticParams, p)).tobytes() for p in submitted.values()}) > 1:
        raise DslError(
            "FED-180", "parameters of HeteroLR differ between parties", "only predict_param and party_weight may"
        )
    if p.protocol == "paillier" and roles[Role.HOST] > 1 and p.converge_func != "weight_diff":
        raise DslError(
            "FED-727",
            f"HeteroLR: converge_func {p.converge_func!r} needs a loss: 'paillier' has none for several hosts",
            "converge_func 'weight_diff', or protocol 'shared'",
        )
    return submitted


def _variant(component: Component, p: LogisticParams) -> Component:
    """With the messages of the protocol that the parameters name; a prediction is the same under all."""
    if component.prediction is not None and component.topics is component.prediction.topics:
        return component
    closed = p.in_fold and p.protocol == "shared" and p.optimizer not in ADAPTIVE
    texts = lr_shared_topics.IN_FOLDS if closed else LEARNS[p.protocol]
    learns = {role: [*texts[role], *_runs(role, p, closed), *_exceptions(role, p)] for role in Role}
    topics = [*SENT[p.protocol](p), *([CLASSES] if p.one_vs_rest_param.need_one_vs_rest else [])]
    if not (p.in_fold and p.protocol == "shared"):
        topics += [SAME_ROWS, PARTIAL]
    return replace(component, topics=tuple(topics), learns=learns)


def _runs(role: Role, p: LogisticParams, closed: bool) -> Iterator[str]:
    """What is said of several trainings in one component."""
    if p.one_vs_rest_param.need_one_vs_rest:
        yield from OF_CLASSES[role]
    if p.validates and p.protocol == "paillier" and role is Role.GUEST:
        yield "each host's part of the score of every row of eval_data, each validation_freqs epochs"
    if p.in_fold and not closed and role is not Role.ARBITER:
        yield "all of this of each fold of a cross validation; no component keeps the models of folds"


def _exceptions(role: Role, p: LogisticParams) -> Iterator[str]:
    """What a party learns more easily because the conf asks for less than the default."""
    opened = p.protocol == "paillier" or p.optimizer in ADAPTIVE
    if not opened or role is Role.ARBITER:
        return
    usual = LogisticParams().batch_rows_per_column
    if p.batch_rows_per_column < usual:
        yield (
            f"EXCEPTION: batch_rows_per_column is {p.batch_rows_per_column:g}, not {usual:g}: from batches of so few "
            "rows, or columns, weights or classes that leave so few, it may solve what is known of single rows"
        )
    if p.protocol == "paillier" and p.encrypt_param.key_length < DEFAULT_BITS:
        yield f"EXCEPTION: whoever breaks a key of {p.encrypt_param.key_length} bits reads what is encrypted under it"


def _notes(p: LogisticParams) -> Iterator[str]:
    yield from prediction_notes(p.predict_param)
    for name in ("party_weight", "masked_rate", "floating_point_precision"):
        if getattr(p, name) != LogisticParams.model_fields[name].default:
            yield f"{name} has no effect"
    if p.shuffle:
        yield "shuffle has no effect: there is one batch"
    if p.protocol != "paillier":
        for name in ("encrypt_param", "encrypted_mode_calculator_param", "feature_bits"):
            if getattr(p, name) != LogisticParams.model_fields[name].default:
                yield f"{name} has no effect under protocol {p.protocol!r}"
        return
    yield from encryption_notes(p.encrypt_param, p.encrypted_mode_calculator_param)


HETERO_LR = Component(
    module="HeteroLR",
    title="Logistic regression over the columns of guest and host",
    params=LogisticParams,
    roles={role: _by_protocol(role) for role in Role},
    data_roles=(Role.GUEST,),
    topics=(
        *{topic.name: topic for topics in TOPICS.values() for topic in topics}.values(),
        CLASSES,
        SAME_ROWS,
        PARTIAL,
    ),
    learns={
        role: [f"protocol {name!r}: {text}" for name, learns in LEARNS.items() for text in learns[role]]
        for role in Role
    },
    has_model=True,
    model=KEPT.model,
    scorer=Scorer(partial=partial_of, merge=logistic, classes=classes_of, parts_per_row=parts_per_row),
    prediction=Prediction(
        topics=(SAME_ROWS, PARTIAL),
        learns={
            Role.GUEST: (
                "the host's part of the score of every row that is predicted: with each further model on the same rows "
                "one more linear combination of the host's columns; each host counts the rows, over jobs",
            ),
        },
        spends=(ROWS,),
    ),
    reproducible=2.0**-10,
    spends=(EQUATIONS, ROWS),
    cost=(
        "'shared', per batch of n rows: three exchanges, five with momentum, L2 or weight_diff, of some 24 n bytes "
        "each way in all; 8 n (2 terms + 5) bytes from the arbiter to the first host, with 16 or 32 terms.",
        "'paillier', per row and epoch: two encryptions and a product per column; two ciphertexts (512 bytes each for "
        "a key of 2048 bits) between the guest and each host. Per batch and column a decryption at the arbiter.",
        "Memory: the tables, and as much again for masked features ('shared'), or a ciphertext per row of a batch.",
        "Prediction: 8 bytes per row from each host.",
    ),
    settle=_settle,
    variant=_variant,
    notes=lambda p: list(_notes(p)),
)
