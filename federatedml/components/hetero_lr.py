"""HeteroLR: logistic regression on columns of several parties, who share all rows and show each other none.

The declaration. Who does what is in one module per protocol.
"""

from __future__ import annotations

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
from federatedml.components import hetero_lr_paillier, hetero_lr_shared
from federatedml.components.linear_model import logistic
from federatedml.components.lr_agreement import params_digest
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_predict import PARTIAL, PREDICTED, partial_of, predicted, send_partial
from federatedml.components.lr_result import META, PARAM
from federatedml.components.lr_shared_topics import TOPICS, topics_of
from federatedml.errors import DslError
from federatedml.federation.box import Box
from federatedml.federation.party import Role

MODELS_ADD_UP = (
    "at least two rows per weight are demanded within one training; the equations of all models that are trained on "
    "the same two tables add up, by components and by jobs, and their sum is not limited"
)
PROTOCOLS = {"shared": hetero_lr_shared.ROLES, "paillier": hetero_lr_paillier.ROLES}


def _by_protocol(role: Role) -> RoleFunction:
    """The role's function: passes data through, predicts, or trains under the protocol that the parameters name."""

    def run(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
        if not p.need_run:
            return Outputs(data=None if role is Role.ARBITER else inputs.one("train_data", "data", "eval_data"))
        if inputs.model is not None:
            return _predict(role, box, inputs, inputs.model)
        return PROTOCOLS[p.protocol][role](p, box, inputs)

    return run


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
    """``DslError`` unless one guest, hosts and one arbiter have the same parameters (``predict_param`` aside).

    A dealer that is also the guest or a host could unmask the others, whatever the topics say: refused.
    """
    roles = sorted(member.role for member in submitted)
    if roles.count(Role.GUEST) != 1 or roles.count(Role.ARBITER) != 1 or Role.HOST not in roles:
        raise DslError(
            "FED-181",
            f"HeteroLR with protocol 'shared' runs with {', '.join(map(str, roles))}",
            "one guest, one arbiter, one host or more",
        )
    dealer = next(member.party for member in submitted if member.role is Role.ARBITER)
    if any(member.party == dealer for member in submitted if member.role is not Role.ARBITER):
        raise DslError("FED-182", f"HeteroLR: party {dealer} is the arbiter and more", "the arbiter is a party apart")
    if len({params_digest(cast(LogisticParams, p)).tobytes() for p in submitted.values()}) > 1:
        raise DslError("FED-180", "parameters of HeteroLR differ between parties", "only predict_param may")
    return submitted


def _variant(component: Component, params: Any) -> Component:
    """With the messages of the chosen optimiser and options only."""
    return replace(component, topics=(*topics_of(params), PREDICTED, PARTIAL))


HETERO_LR = Component(
    module="HeteroLR",
    title="Logistic regression over the columns of guest and host",
    params=LogisticParams,
    roles={role: _by_protocol(role) for role in Role},
    topics=(*TOPICS, PREDICTED, PARTIAL),
    learns={
        Role.GUEST: (
            "the weights of its own columns and the intercept: up to that many equations in the host's data per model",
            MODELS_ADD_UP,
            "the host's part of the score of every row that is predicted",
            "together with the arbiter it could unmask the host's columns: the two must not collude",
        ),
        Role.HOST: (
            "the weights of its own columns: up to that many equations in the labels and the guest's columns per model",
            MODELS_ADD_UP,
            "together with the arbiter it could unmask labels and the guest's columns: the two must not collude",
        ),
        Role.ARBITER: (
            "nothing about data, provided that it cannot read what guest and host exchange: "
            "they talk directly, encrypted end to end",
            "a dishonest arbiter can spoil the model unseen: all parties are taken to follow the protocol",
        ),
    },
    has_model=True,
    model=ModelSpec({META: model_pb2.LRModelMeta, PARAM: model_pb2.LRModelParam}),
    scorer=Scorer(partial=partial_of, merge=logistic),
    prediction=Prediction(
        topics=(PREDICTED, PARTIAL),
        learns={
            Role.GUEST: (
                "the host's part of the score of every row that is predicted: with each further model on the same rows "
                "one more linear combination of the host's columns; the number of jobs is not limited",
            ),
        },
    ),
    reproducible=2.0**-10,
    settle=_settle,
    variant=_variant,
)
