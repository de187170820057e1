"""Filters by information value: the guest, who alone knows the IVs of all, decides for every party.

A host names the binned columns that its filters before left, by position; the guest answers which of them stay. Columns
that binning left out have no IV, nobody judges them here, and they stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Inputs
from federatedml.components.binning_model import PARAM
from federatedml.errors import DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Vector

CANDIDATES = Topic(
    "candidates",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("<u4"),
    Carries.CONTROL,
    "which of the host's binned columns, by position, passed the filters before: for a filter by IV",
)
STAYING = Topic(
    "staying",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<u4"),
    Carries.AGGREGATE,
    "which of its columns, by position, stay by their IV: a comparison with the labels per column and filter, never an "
    "IV; from many jobs with other thresholds it could tell the order of its columns' IVs",
)
TOPICS = (CANDIDATES, STAYING)


def binning(inputs: Inputs) -> pb.FeatureBinningParam:
    """The model of HeteroFeatureBinning.

    Raises:
        DslError: FED-843, there is none.
    """
    found = (inputs.isometric_model or {}).get(PARAM)
    if not isinstance(found, pb.FeatureBinningParam):
        raise DslError(
            "FED-843",
            "HeteroFeatureSelection: filters by IV need the model of HeteroFeatureBinning",
            "input.isometric_model",
        )
    return found


def own_ivs(model: pb.FeatureBinningParam, names: Sequence[str]) -> dict[str, float]:
    """IVs of those of the guest's columns that have one.

    Raises:
        DslError: FED-844, the binning has bins without IVs.
    """
    own: Mapping[str, pb.IVParam] = model.binning_result.binning_result
    if any(not column.woe_array for column in own.values()):
        raise DslError(
            "FED-844",
            "HeteroFeatureSelection: filters by IV, and the binning has none",
            "it ran with skip_static, or it is a host's",
        )
    return {name: own[name].iv for name in names if name in own}


def candidates(box: Box, model: pb.FeatureBinningParam, round_: int) -> dict[Member, dict[str, float]]:
    """At the guest: IVs of the columns that each host asks about, by anonymous name, ``MEMBER_POSITION``.

    Raises:
        ProtocolError: FED-845, a position twice, or of a column that has no bins.
    """
    return {host: _ivs(model, host, asked) for host, asked in sorted(box.gather(CANDIDATES, round_).items())}


def _ivs(model: pb.FeatureBinningParam, host: Member, asked: Array) -> dict[str, float]:
    known = model.host_results[str(host)].binning_result if str(host) in model.host_results else {}
    names = [f"{host}_{place}" for place in asked.tolist()]
    found = {name: known[name].iv for name in names if name in known}
    if len(found) != len(asked):
        raise ProtocolError("FED-845", f"{host} asks about {len(asked)} columns, of which {len(found)} have an IV")
    return found


def tell(box: Box, left: Mapping[Member, Sequence[str]], round_: int) -> None:
    """At the guest: each host hears which of its columns, by anonymous name, stay."""
    for host, names in left.items():
        box.send(STAYING, np.array([int(name.removeprefix(f"{host}_")) for name in names], "<u4"), round_, host)


def ask(box: Box, model: pb.FeatureBinningParam, names: Sequence[str], round_: int) -> list[str]:
    """At a host: which of these columns do not stay.

    Raises:
        ProtocolError: FED-845, the guest answers with others than those that it was asked about, or with none.
    """
    header, binned = list(model.header), model.binning_result.binning_result
    asked = {header.index(name): name for name in names if name in binned}
    box.send(CANDIDATES, np.array(list(asked), "<u4"), round_)
    stay = box.recv(STAYING, round_).tolist()
    if len(set(stay)) != len(stay) or not set(stay) <= set(asked) or bool(stay) != bool(asked):
        raise ProtocolError("FED-845", f"the guest leaves {len(stay)} columns, asked were {len(asked)}")
    return [name for place, name in asked.items() if place not in stay]
