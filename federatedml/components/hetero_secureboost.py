"""HeteroSecureBoost: boosted trees on columns of several parties, who share all rows and show each other none.

The guest knows the labels and grows the trees level by level (``tree_grow``): XGBoost's ``hist`` on columns in bins by
quantiles, with its gain, its limits and its rules for missing values and for splits that are equally good
(``tree_splits``). Hosts answer two questions (``tree_hosts``): the sums of gradients on the left of each of their split
candidates, and which rows of a node go left at the chosen one. They learn neither labels nor weights of leaves.

- Protocol ``shared`` (``tree_shared``): an arbiter deals correlated randomness; hosts see masked numbers only, not even
  which rows a node has. The masked bins are sent once, which is most of the traffic of a short training.
- Protocol ``paillier`` (``tree_paillier_guest``): gradients are encrypted, no arbiter is needed; hosts see which rows
  the nodes have that they are asked about.

Both give the same trees. A host's part of the model has its thresholds, the guest's part the trees, where a host's
split is a number. To score rows, hosts send the bits of all their splits in one message (``tree_predict``).
``isometric_model`` is a model to go on from: its trees stay (``tree_warm``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from federatedml.component import (
    Component,
    Inputs,
    MemberParams,
    ModelSpec,
    Outputs,
    Prediction,
    RoleFunction,
    Scorer,
)
from federatedml.components import tree_guest, tree_host, tree_paillier_topics, tree_shared
from federatedml.components.common_rows import SAME_ROWS
from federatedml.components.cross_validation import cross_validated
from federatedml.components.encryption_notes import encryption_notes, prediction_notes
from federatedml.components.lr_release import ROWS
from federatedml.components.tree_agreement import AGREEMENT, CLASSES, NEXT, params_digest
from federatedml.components.tree_hosts import OpenAnswers, OpenHosts
from federatedml.components.tree_model import GUEST_BUFFERS, HOST_BUFFERS, host_buffers, label_values
from federatedml.components.tree_paillier_guest import PaillierHosts
from federatedml.components.tree_paillier_host import PaillierAnswers
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_predict import SPLIT_BITS, merge, partial_of, predict_guest, predict_host, used
from federatedml.crypto.choice import PLANNED_COLUMNS, PLANNED_PLACE, Boosting, for_boosting
from federatedml.crypto.paillier.keys import DEFAULT_BITS
from federatedml.errors import DslError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Topic


@dataclass(frozen=True)
class Protocol:
    """One way to learn which splits are best.

    Attributes:
        topics: its messages, besides those that all protocols have.
        learns: what each role learns from the outputs.
        sent: those of its messages that a training with these parameters may send.
    """

    hosts: OpenHosts
    answers: OpenAnswers
    topics: Sequence[Topic[Any]]
    learns: Mapping[Role, Sequence[str]]
    sent: Callable[[SecureBoostParams], Sequence[Topic[Any]]]


PROTOCOLS: Mapping[str, Protocol] = {
    "shared": Protocol(
        tree_shared.SharedHosts,
        tree_shared.SharedAnswers,
        tree_shared.TOPICS,
        tree_shared.LEARNS,
        lambda p: tree_shared.TOPICS,
    ),
    "paillier": Protocol(
        PaillierHosts,
        PaillierAnswers,
        tree_paillier_topics.TOPICS,
        tree_paillier_topics.LEARNS,
        tree_paillier_topics.topics_of,
    ),
}
SHARED = "shared"
OF_FOLDS = "all of this of each fold of a cross validation, whose models no component keeps"
COMMON: tuple[Topic[Any], ...] = (AGREEMENT, CLASSES, NEXT, SAME_ROWS, SPLIT_BITS)
LEARNS: Mapping[Role, Sequence[str]] = {
    Role.GUEST: (
        "the trees: which of a host's columns, by number, splits which rows of the guest's, not at which value",
        "where rows are weighed: hosts are asked about nodes whose rows count, as (sum w)^2 / sum w^2, for as many as "
        "is asked of rows; no host can see which rows of a bin weigh, and a row that weighs far more than the others "
        "shows in the sums of its cells",
    ),
    Role.HOST: ("its own splits of the trees, not where they are in them",),
}


def _guest(p: SecureBoostParams, box: Box, inputs: Inputs) -> Outputs:
    if not p.need_run:
        return Outputs(inputs.one("train_data", "data", "eval_data"))
    if inputs.model is not None:
        table = inputs.one("data", "eval_data", "train_data")
        return Outputs(predict_guest(box, inputs.model, table), inputs.model, summary={"rows": len(table)})
    return _TRAIN(p, box, inputs)


def _host(p: SecureBoostParams, box: Box, inputs: Inputs) -> Outputs:
    if not p.need_run:
        return Outputs(inputs.one("train_data", "data", "eval_data"))
    if inputs.model is not None:
        table = inputs.one("data", "eval_data", "train_data")
        predict_host(box, inputs.model, table)
        return Outputs(None, inputs.model, summary={"rows": len(table)})
    return _ANSWER(p, box, inputs)


def _arbiter(p: SecureBoostParams, box: Box, inputs: Inputs) -> Outputs:
    """Deals under protocol ``shared``; its model holds parameters only."""
    if not p.need_run:
        return Outputs()
    if inputs.model is not None:
        return Outputs(model=inputs.model)
    return _DEAL(p, box, inputs)


def _train(p: SecureBoostParams, box: Box, inputs: Inputs) -> Outputs:
    return tree_guest.train(p, box, inputs, PROTOCOLS[p.protocol].hosts)


def _answer(p: SecureBoostParams, box: Box, inputs: Inputs) -> Outputs:
    return tree_host.answer(p, box, inputs, PROTOCOLS[p.protocol].answers)


def _deal(p: SecureBoostParams, box: Box, inputs: Inputs) -> Outputs:
    rounds = 0
    if p.protocol == SHARED:
        rounds = tree_shared.deal(p, box, box.resume.round if box.resume else 0)
    return Outputs(model=host_buffers(p, box.me, [], [], []), summary={"rounds": rounds})


def _classifies(p: SecureBoostParams) -> bool:
    return p.task_type == "classification"


_TRAIN, _ANSWER, _DEAL = (cross_validated(work, _classifies) for work in (_train, _answer, _deal))


def _settle(submitted: MemberParams) -> MemberParams:
    """``auto`` decided; ``DslError`` unless the roles fit the protocol and all have the same parameters."""
    roles = Counter(member.role for member in submitted)
    if roles[Role.GUEST] != 1 or roles[Role.ARBITER] > 1 or not roles[Role.HOST]:
        found = ", ".join(str(member.role) for member in sorted(submitted))
        raise DslError(
            "FED-181", f"HeteroSecureBoost runs with {found}", "one guest, one host or more, an arbiter or none"
        )
    if len({params_digest(cast(SecureBoostParams, p)).tobytes() for p in submitted.values()}) > 1:
        raise DslError("FED-180", "parameters of HeteroSecureBoost differ between parties", "only predict_param may")
    arbiters = {member.party for member in submitted if member.role is Role.ARBITER}
    dealer = arbiters - {member.party for member in submitted if member.role is not Role.ARBITER}
    settled = {member: _decided(cast(SecureBoostParams, p), bool(dealer)) for member, p in submitted.items()}
    chosen = next(iter(settled.values())).protocol
    if chosen == SHARED and not dealer:
        raise DslError(
            "FED-182",
            "HeteroSecureBoost: protocol 'shared' has no dealer",
            "an arbiter that is a party apart, or 'paillier'",
        )
    if chosen not in PROTOCOLS:
        raise DslError("FED-808", f"HeteroSecureBoost: protocol {chosen!r} is not available yet", ", ".join(PROTOCOLS))
    return settled


def _decided(p: SecureBoostParams, dealer: bool) -> SecureBoostParams:
    """With the protocol that ``auto`` means."""
    if p.protocol != "auto":
        return p
    candidates = PLANNED_COLUMNS * (p.bin_num - 1)
    sizes = Boosting(1, PLANNED_COLUMNS, candidates, p.tree_param.max_depth, p.num_trees)
    chosen = for_boosting(sizes, replace(PLANNED_PLACE, dealer=dealer), p.method_is_set)
    return p.model_copy(update={"protocol": chosen.value})


def _variant(component: Component, p: SecureBoostParams) -> Component:
    """With the messages of the protocol that the parameters name; a prediction is the same under all."""
    if component.prediction is not None and component.topics is component.prediction.topics:
        return component
    protocol = PROTOCOLS[p.protocol]
    folds = [OF_FOLDS] if p.cv_param.need_cv else []
    learns = {
        role: [*LEARNS.get(role, ()), *protocol.learns.get(role, ()), *_exceptions(role, p), *folds] for role in Role
    }
    return replace(component, topics=(*COMMON, *protocol.sent(p)), learns=learns)


def _exceptions(role: Role, p: SecureBoostParams) -> Iterator[str]:
    """What is weaker than by default."""
    usual, bits = SecureBoostParams().min_cell_rows, p.encrypt_param.key_length
    if role is Role.GUEST and p.min_cell_rows < usual:
        yield f"EXCEPTION: min_cell_rows is {p.min_cell_rows}, not {usual}: sums of so few rows may name them"
    if role is Role.HOST and p.protocol != SHARED and bits < DEFAULT_BITS:
        yield f"EXCEPTION: whoever breaks a key of {bits} bits reads gradients, and so labels"


def _notes(p: SecureBoostParams) -> Iterator[str]:
    yield from prediction_notes(p.predict_param)
    if p.protocol == SHARED:
        for name in ("encrypt_param", "encrypted_mode_calculator_param"):
            if getattr(p, name) != SecureBoostParams.model_fields[name].default:
                yield f"{name} has no effect under protocol 'shared'"
    else:
        yield from encryption_notes(p.encrypt_param, p.encrypted_mode_calculator_param)
    if p.min_cell_rows < SecureBoostParams().min_cell_rows:
        yield f"min_cell_rows is {p.min_cell_rows}: sums of so few rows, which the guest reads, may name them"


ALL = [*COMMON, *(topic for protocol in PROTOCOLS.values() for topic in protocol.topics)]

HETERO_SECUREBOOST = Component(
    module="HeteroSecureBoost",
    title="Boosted trees over the columns of guest and host",
    params=SecureBoostParams,
    roles=cast(Mapping[Role, RoleFunction], {Role.GUEST: _guest, Role.HOST: _host, Role.ARBITER: _arbiter}),
    data_roles=(Role.GUEST,),
    topics=tuple({topic.name: topic for topic in ALL}.values()),
    learns={
        role: [
            *LEARNS.get(role, ()),
            *(f"protocol {name!r}: {text}" for name, one in PROTOCOLS.items() for text in one.learns.get(role, ())),
        ]
        for role in Role
    },
    optional_roles=(Role.ARBITER,),
    has_model=True,
    model=ModelSpec({**GUEST_BUFFERS, **HOST_BUFFERS}, (tuple(GUEST_BUFFERS), tuple(HOST_BUFFERS))),
    scorer=Scorer(partial=partial_of, merge=merge, classes=label_values, used=used),
    prediction=Prediction(
        topics=(SAME_ROWS, SPLIT_BITS),
        learns={
            Role.GUEST: (
                "on which side of each of the host's splits in this model every row is that is predicted; each host "
                "counts the rows, over jobs",
            ),
        },
        spends=(ROWS,),
    ),
    reproducible=1e-9,
    spends=(ROWS,),
    settle=_settle,
    variant=_variant,
    notes=lambda p: list(_notes(p)),
    cost=(
        "protocol 'shared', n rows, m split candidates of a host, depth D, T rounds: before the trees 4 n m bytes from "
        "host to guest and 2^D T n m multiplications at guest and arbiter",
        "per round about 2^D n F additions for F columns at a host, 4 n 2^D bytes to it and 8 m 2^D bytes back",
        "protocol 'paillier', key of 2048 bits: per round n encryptions of 40 us and 512 n bytes to each host, at a "
        "host 2 us for each column and row of one of each two children (less where columns have few bins), "
        "0.25 ms and 25 bytes for each of its m candidates in each such node",
    ),
)
