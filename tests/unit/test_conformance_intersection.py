"""Intersection keeps the contract of components under all of its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from federatedml.components.intersection import COMMON
from federatedml.components.intersection_kkrt import KKRT
from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from tests.conforming import Inherited
from tests.fault_cases import cases
from tests.members import GUEST


class TestIntersection(Inherited):
    module = "Intersection"
    same_as: ClassVar[Mapping[str, str]] = {"dh": "ecdh"}
    conditional: ClassVar[Mapping[str, Sequence[str]]] = {
        "1 hosts": [COMMON.name, *(topic.name for topic in KKRT.topics)],  # auto: small tables by ECDH
        **{name: [COMMON.name] for name in ("rsa", "raw", "cached", "kkrt")},  # of several hosts
    }

    def references(self) -> Mapping[str, Pooled]:
        return {name: partial(common, name) for name in cases("Intersection")}


def common(name: str, outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    ids = {m: set(given.data["data"][0].ids) for m, given in cases("Intersection")[name].case.inputs.items()}
    if name == "count":
        hosts = [member for member in ids if member != GUEST]
        told = {m: outputs[GUEST].summary[f"intersect_count_{m}"] for m in hosts}
        return {
            str(m): ([told[m], outputs[m].summary["intersect_count"]], [len(ids[GUEST] & ids[m])] * 2) for m in hosts
        }
    everywhere = sorted(set.intersection(*ids.values()))
    return {str(m): (sorted(out.data.ids), everywhere) for m, out in outputs.items() if out.data is not None}
