"""Partitions on a real Dask cluster of this machine: the results of a loop, errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster, Security

from federatedml.compute.choice import EngineName, compute_engine
from federatedml.compute.cluster import Cluster, Tls
from federatedml.errors import ComputeError, DataError, FedError, ProtocolError
from federatedml.federation.identity import create_ca, issue
from tests import compute_kernels as kernels

WORKERS = 2
QUIET = {"dashboard_address": "127.0.0.1:0", "threads_per_worker": 1, "n_workers": WORKERS, "host": "127.0.0.1"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Cluster]:
    with LocalCluster(**QUIET) as cluster, compute_engine(EngineName.DASK, address=cluster.scheduler_address) as engine:
        assert isinstance(engine, Cluster)
        yield engine


def test_results_are_those_of_a_loop(engine: Cluster) -> None:
    parts = [np.arange(n) for n in range(5)]
    assert engine.workers == WORKERS
    found = engine.map(partial(kernels.scaled, factor=3), parts)
    assert [part.tolist() for part in found] == [(part * 3).tolist() for part in parts]
    held = engine.hold(kernels.running_sum, parts)
    for number in (1, 2):
        found = held.map(kernels.plus, number)
        assert [part.tolist() for part in found] == [(np.cumsum(part) + number).tolist() for part in parts]
    held.close()


def test_a_part_is_loaded_once_and_used_where_it_is(engine: Cluster, tmp_path: Path) -> None:
    held = engine.hold(kernels.owner, list(range(6)))
    found = [held.map(kernels.who_holds) for _ in range(3)]
    assert all(loaded_by == used_by for use in found for loaded_by, used_by, _ in use)
    counted = engine.hold(kernels.loaded_once, [tmp_path / "a", tmp_path / "b"])
    assert [counted.map(kernels.times_loaded) for _ in range(3)] == [[1, 1]] * 3


def test_errors_are_the_kernels_own(engine: Cluster) -> None:
    with pytest.raises(DataError, match=r"FED-299.*part 3 is odd"):
        engine.map(kernels.refused, [2, 3, 5])
    with pytest.raises(DataError, match="FED-299"):
        engine.hold(kernels.refused, [2, 3])
    with pytest.raises(FedError, match=r"FED-752.*IndexError in tests.compute_kernels:broken"):
        engine.map(kernels.broken, [1])


def test_code_does_not_travel(engine: Cluster) -> None:
    with pytest.raises(ProtocolError, match="FED-751"):
        engine.map(lambda part: part, [1])


def test_a_cluster_that_goes_away_ends_the_call() -> None:
    with LocalCluster(**QUIET) as cluster:
        engine = Cluster(cluster.scheduler_address, workers=WORKERS, patience=2)
        assert engine.map(kernels.scaled, [1]) == [2]
    with pytest.raises(ComputeError, match="FED-75") as caught:
        engine.map(kernels.scaled, [1])
    assert caught.value.retryable
    engine.close()


def test_a_cluster_that_goes_away_during_the_work_ends_the_call(tmp_path: Path) -> None:
    started = tmp_path / "started"
    with LocalCluster(**QUIET) as cluster:
        engine = Cluster(cluster.scheduler_address, workers=WORKERS, patience=2)
        with ThreadPoolExecutor(1) as caller:
            call = caller.submit(engine.map, kernels.waits, [started])
            while not started.exists():
                assert not call.done()
            cluster.close()
            with pytest.raises(ComputeError, match="FED-750"):
                call.result()
    engine.close()


def test_a_cluster_whose_workers_die_of_the_work_ends_the_call(tmp_path: Path) -> None:
    with LocalCluster(**QUIET) as cluster:
        engine = Cluster(cluster.scheduler_address, workers=WORKERS)
        with pytest.raises(ComputeError, match=r"FED-750.*KilledWorker"):
            engine.map(kernels.dies, [tmp_path / "part"])
        engine.close()
        with Client(cluster) as client:
            client.wait_for_workers(WORKERS)  # a cluster cannot be closed while it starts one again


def test_a_cluster_is_reached_by_tls_both_ways(tmp_path: Path) -> None:
    ca, stranger = create_ca("9999"), create_ca("10000")
    for name, pair in {"own": issue(ca, "9999"), "other": issue(stranger, "10000")}.items():
        (tmp_path / f"{name}.pem").write_bytes(pair.certificate)
        (tmp_path / f"{name}.key").write_bytes(pair.key)
    (tmp_path / "ca.pem").write_bytes(ca.certificate)
    own = Tls(*(str(tmp_path / name) for name in ("ca.pem", "own.pem", "own.key")))
    other = Tls(own.ca, *(str(tmp_path / name) for name in ("other.pem", "other.key")))
    files = {"tls_ca_file": own.ca, "require_encryption": True}
    for role in ("scheduler", "worker", "client"):
        files |= {f"tls_{role}_cert": own.cert, f"tls_{role}_key": own.key}
    with LocalCluster(**QUIET, security=Security(**files), protocol="tls://") as cluster:
        engine = Cluster(cluster.scheduler_address, own, WORKERS)
        assert engine.map(kernels.scaled, [1, 2]) == [2, 4]
        engine.close()
        with pytest.raises(ComputeError, match="FED-754"):
            Cluster(cluster.scheduler_address, other, patience=3).map(kernels.scaled, [1])
