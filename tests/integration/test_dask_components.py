"""Whole components on a real Dask cluster of this machine: what they give is what they give in one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from federatedml.components.intersection_params import IntersectParams, RsaParams
from federatedml.compute.choice import EngineName, compute_engine
from federatedml.compute.cluster import Cluster
from federatedml.compute.engine import Compute, Partitions
from federatedml.compute.names import Spelled
from federatedml.conformance.case import TIMEOUT_S, Case
from federatedml.conformance.equal import equal_results
from federatedml.federation.local import LocalNetwork, StepResult
from tests import boost_cases, paillier_lr_cases
from tests.members import GUEST, HOST
from tests.unit.test_intersection import case, tables

WORKERS = 2
IDS = {GUEST: [f"u{i}" for i in range(1200)], HOST: [f"u{i}" for i in range(1100, 0, -1)]}  # parts for both workers
RSA = RsaParams(key_length=1024)
ENCRYPTED = {"encrypt_param": {"method": "Paillier", "key_length": 1024}}


@dataclass(frozen=True)
class Counted:
    """An engine, and how many parts it was given per module of kernels."""

    engine: Compute
    parts: Counter[str] = field(default_factory=Counter)

    @property
    def workers(self) -> int:
        return self.engine.workers

    def map(self, kernel: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        self.parts[Spelled.of(kernel).name.partition(":")[0]] += len(parts)
        return self.engine.map(kernel, parts)

    def hold(self, load: Callable[[Any], Any], parts: Sequence[Any]) -> Partitions:
        self.parts[Spelled.of(load).name.partition(":")[0]] += len(parts)
        return self.engine.hold(load, parts)


@pytest.fixture(scope="module")
def dask() -> Iterator[Compute]:
    quiet = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "processes": True}
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, **quiet) as cluster,
        compute_engine(EngineName.DASK, address=cluster.scheduler_address) as engine,
    ):
        assert isinstance(engine, Cluster)
        yield engine


def same_as_serial(step: Case, dask: Compute, folder: Path, module: str) -> StepResult:
    """Outputs of both engines within what the component declares; the cluster had work of ``module``."""
    counted = Counted(dask)
    serial = step.run(folder / "serial")
    found = step.over(LocalNetwork(folder / "dask", timeout=TIMEOUT_S, compute=counted))
    equal_results(step.component, serial, found, step.same, "on the cluster")
    assert not found.unread
    assert counted.parts[f"federatedml.crypto.{module}"] >= WORKERS, f"the cluster had {dict(counted.parts)}"
    return found


@pytest.mark.parametrize(
    ("params", "module"),
    [
        (IntersectParams(intersect_method="ecdh"), "ecdh"),
        (IntersectParams(intersect_method="rsa", rsa_params=RSA), "rsa_blind"),
        (IntersectParams(run_cache=True), "ecdh"),
    ],
    ids=["ecdh", "rsa", "cached"],
)
def test_intersection(dask: Compute, params: IntersectParams, module: str, tmp_path: Path) -> None:
    found = same_as_serial(case(IDS, params), dask, tmp_path, module)
    assert {len(one) for one in tables(found).values()} == {1100}


def test_hetero_lr(dask: Compute, tmp_path: Path) -> None:
    same_as_serial(paillier_lr_cases.training(paillier_lr_cases.encrypted()), dask, tmp_path, "paillier.matvec")


def test_hetero_secureboost(dask: Compute, tmp_path: Path) -> None:
    p = boost_cases.params(protocol="paillier", num_trees=2, **ENCRYPTED)
    x, y = boost_cases.made(200, 6)
    parts = boost_cases.cut(x, y, [3, 3])
    same_as_serial(boost_cases.case(dict.fromkeys(parts, p), parts), dask, tmp_path, "paillier.histogram")
