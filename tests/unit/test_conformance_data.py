"""Reader and DataTransform keep the contract of components: each party's result is that of its own rows."""

from __future__ import annotations

from collections.abc import Mapping

from federatedml.conformance import Pooled
from tests.conforming import Inherited
from tests.unit.test_conformance_local import columns


class TestDataTransform(Inherited):
    module = "DataTransform"

    def references(self) -> Mapping[str, Pooled]:
        guest = {"fid1": [2.0, 0.0, 0.0], "fid3": [0.0, 0.0, 0.5]}
        return {"fit": lambda outputs: columns(outputs, guest, {"fid0": [5.0]})}


class TestReader(Inherited):
    module = "Reader"

    def references(self) -> Mapping[str, Pooled]:
        return {"hand over": lambda outputs: columns(outputs, {"x": ["text"]}, {"x": ["text"]})}
