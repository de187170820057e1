"""HeteroFeatureSelection: each party keeps the columns that pass all filters, in the order given.

Most filters look at a party's own columns and run at that party alone (``selection_filters``). Filters by information
value need the model of HeteroFeatureBinning (``isometric_model``): the guest knows the IVs of all parties' columns and
decides (``selection_iv``):

    for each filter by IV:
    1. host:     positions of its binned columns that are left -> guest
    2. guest:    which of them stay -> host

Each filter leaves at least one of the columns of each party that it judges.

Parties: guest, hosts. Leaks: what the topics say: a host learns of each of its columns whether its IV passes, the guest
which of a host's columns its other filters took before a filter by IV. Names never leave a party. Cost: next to none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Component, Inputs, MemberParams, ModelBuffers, ModelSpec, Outputs, Prediction, Scorer
from federatedml.components.binning_bins import chosen
from federatedml.components.selection_filters import judge
from federatedml.components.selection_iv import TOPICS, ask, binning, candidates, own_ivs, tell
from federatedml.components.selection_model import META, PARAM, Step, check, grid, model, transform
from federatedml.components.selection_params import BY_IV, FeatureSelectionParams
from federatedml.components.selection_rules import iv_rule
from federatedml.data.table import Table
from federatedml.errors import DslError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role


def party(p: FeatureSelectionParams, box: Box, inputs: Inputs) -> Outputs:
    """Select among the own columns, at the guest for the hosts too where IVs decide."""
    table = inputs.one("data", "train_data", "eval_data")
    if inputs.model is not None or not p.need_run:
        return _outputs(p, box, table, inputs.model or model(p, table.header, [], table.header))
    if p.local_only and box.me.role is Role.HOST:
        return _outputs(p, box, table, model(p, table.header, [], table.header))
    steps, left = _filtered(p, box, inputs, table)
    found = _outputs(p, box, table, model(p, table.header, steps, left))
    return replace(found, views=[grid(steps, table.header, left)])


def _filtered(p: FeatureSelectionParams, box: Box, inputs: Inputs, table: Table) -> tuple[list[Step], list[str]]:
    """What each filter did, and the columns that are left."""
    open_to = set(chosen(table.header, p.select_cols, p.select_names, "select_cols"))
    steps, left = list[Step](), list(table.header)
    for number, method in enumerate(p.filter_methods):
        names = [name for name in left if name in open_to]
        if method in BY_IV:
            step = _by_iv(method, number, p, box, inputs, names)
        else:
            values, staying = judge(method, p, table, names, inputs.isometric_model)
            step = Step(method, values, names, staying)
        gone = set(step.judged) - set(step.left)
        left = [name for name in left if name not in gone]
        steps.append(step)
    return steps, left


def _by_iv(method: str, number: int, p: FeatureSelectionParams, box: Box, inputs: Inputs, names: Sequence[str]) -> Step:
    rule = iv_rule(method, p)
    federated = rule.federated and not p.local_only
    if box.me.role is Role.HOST:
        gone = ask(box, binning(inputs), names, number) if federated else []
        return Step(method, {}, names, [name for name in names if name not in gone])
    own = own_ivs(binning(inputs), names)
    hosts = candidates(box, binning(inputs), number) if federated else {}
    mine, *theirs = rule.stays([own, *hosts.values()])
    told = dict(zip(hosts, theirs, strict=True))
    tell(box, told, number)
    of_hosts = {str(host): {name: (iv, name in told[host]) for name, iv in ivs.items()} for host, ivs in hosts.items()}
    return Step(method, own, names, [name for name in names if name not in own or name in mine], of_hosts)


def _outputs(p: FeatureSelectionParams, box: Box, table: Table, buffers: ModelBuffers) -> Outputs:
    found = transform(buffers, table) if p.need_run else table
    summary = {"columns": len(table.header), "columns_left": len(found.header)}
    return Outputs(replace(found, origin=box.attempt.component), buffers, summary=summary)


def _federated(p: FeatureSelectionParams) -> list[bool]:
    """For each filter whether parties talk about it."""
    return [p.need_run and not p.local_only and m in BY_IV and iv_rule(m, p).federated for m in p.filter_methods]


def _settle(submitted: MemberParams) -> MemberParams:
    """``DslError`` unless all apply the same filters in the same order."""
    given = cast(Mapping[Member, FeatureSelectionParams], submitted)
    if len({(p.need_run, p.local_only, *p.filter_methods, *_federated(p)) for p in given.values()}) > 1:
        problem = "HeteroFeatureSelection: need_run, local_only, filter_methods, or whether hosts are judged, differ"
        raise DslError("FED-847", f"{problem} between parties", "give them under algorithm_parameters")
    hosts = sum(member.role is Role.HOST for member in given)
    for member, p in given.items():
        if member.role is Role.GUEST:
            for method in p.filter_methods:
                if method in BY_IV and any(_federated(p)):
                    iv_rule(method, p).check_hosts(hosts)
    return submitted


def _variant(component: Component, p: FeatureSelectionParams) -> Component:
    """Without messages, if no filter is by the IVs of all."""
    predicting = component.prediction is not None and component.topics is component.prediction.topics
    return component if predicting or any(_federated(p)) else replace(component, topics=(), learns={})


HETERO_FEATURE_SELECTION = Component(
    module="HeteroFeatureSelection",
    title="Keep the columns that pass filters: by their own values, or by information value over all parties",
    params=FeatureSelectionParams,
    roles={Role.GUEST: party, Role.HOST: party},
    topics=TOPICS,
    learns={Role.HOST: ("which of its own columns stay",)},
    optional_roles=(Role.HOST,),
    has_model=True,
    model=ModelSpec({META: pb.FeatureSelectionMeta, PARAM: pb.FeatureSelectionParam}, check=check),
    scorer=Scorer(transform=transform),
    prediction=Prediction(),
    settle=_settle,
    variant=_variant,
    cost=("a pass over each column per filter", "per filter by IV two messages of 4 bytes per column and host"),
)
