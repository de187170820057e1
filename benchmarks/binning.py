"""HeteroFeatureBinning and HeteroFeatureSelection: IVs against pooled data, cost against unit operations.

default_credit, 30,000 rows, 13 columns of the guest and 10 of the host, if its two CSV files are given; otherwise
generated columns of that shape. All parties in this process, with the machine's cores once for all of them, as
``airfed simulate`` runs them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from airfed_proto.v1 import features_pb2 as pb
from benchmarks.figure import Figure
from benchmarks.lr_runs import ARBITER, GUEST, HOST, Floats, cpu_seconds, credit, halves, peak_bytes
from benchmarks.unit_cost import cost
from federatedml.component import Inputs, component
from federatedml.components.binning_paillier import packing
from federatedml.components.binning_topics import SUMS
from federatedml.components.quantile_bins import bins_of, quantile_points
from federatedml.compute.choice import compute_engine
from federatedml.compute.engine import Compute
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.kernels import product
from federatedml.crypto.dealt.words import WordRing
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.histogram import groups
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.stream import Stream
from federatedml.data.table import Table
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.party import Member

RUNS, BINS = 3, 10
LIMITS = {"shared": 2.0, "paillier": 5.0}
METHODS = ["unique_value", "iv_value_thres", "coefficient_of_variation_value_thres", "iv_percentile", "outlier_cols"]


@dataclass(frozen=True)
class Run:
    """One step of all parties in this process; seconds."""

    cpu: float
    wall: float
    result: StepResult

    def megabytes(self) -> float:
        """Bytes of all messages."""
        return sum(message.size for message in self.result.sent) / 1e6


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Shares first: the peak memory before ciphertexts is theirs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks binning")
    parser.add_argument("--data", type=Path, help="folder with default_credit_hetero_{guest,host}.csv")
    options = parser.parse_args(arguments)
    x, y, ids = credit(options.data) if options.data else _generated()
    tables = halves(ids, x[:, :13], x[:, 13:], y)
    name = "default_credit" if options.data else "generated"
    floors = {"shared": _shared_floor(tables[HOST]), "paillier": _paillier_floor(tables[HOST])}
    with compute_engine() as compute:
        for protocol in ("shared", "paillier"):
            runs = [_binned(tables, protocol, compute) for _ in range(RUNS)]
            selections = [_selected(tables, one.result, compute) for one in runs]
            yield from _figures(f"{name}, {protocol}", protocol, runs, selections, floors[protocol])
            worst = np.abs(_ivs(runs[-1].result) - _pooled(x, y)).max()
            yield Figure(f"{name}, {protocol}: largest difference of an IV from pooled NumPy", worst, "", "limit 1e-9")


def _figures(
    name: str, protocol: str, runs: Sequence[Run], selections: Sequence[Run], floor: float
) -> Iterator[Figure]:
    walls = [one.wall + two.wall for one, two in zip(runs, selections, strict=True)]
    limit, note = f"limit {LIMITS[protocol]:g}", f"median of {RUNS}"
    yield Figure(f"{name}: binning and selection, wall", statistics.median(walls), "s", limit, note)
    cpu = statistics.median(one.cpu for one in runs)
    yield Figure(f"{name}: binning, CPU of all parties", cpu, "s", f"floor {floor:.2f} of unit operations", note)
    cpu = statistics.median(two.cpu for two in selections)
    yield Figure(f"{name}: selection, CPU of all parties", cpu, "s", "", note)
    yield Figure(f"{name}: messages of binning", runs[-1].megabytes(), "MB", "")
    yield Figure(f"{name}: largest memory, all parties so far", peak_bytes() / 1e6, "MB", "")


def _measured(module: str, given: Mapping[Member, Any], inputs: Mapping[Member, Inputs], compute: Compute) -> Run:
    declared = component(module)
    settled = declared.settle(dict(given))
    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = cpu_seconds(), time.perf_counter()
        network = LocalNetwork(Path(folder), timeout=300.0, compute=compute, bodies=False)
        result = network.run(declared, settled, inputs)
        return Run(cpu_seconds() - cpu, time.perf_counter() - wall, result)


def _binned(tables: Mapping[Member, Table], protocol: str, compute: Compute) -> Run:
    inputs = {member: Inputs({"data": [table]}) for member, table in tables.items()} | {ARBITER: Inputs()}
    p = component("HeteroFeatureBinning").params.model_validate(
        {"protocol": protocol, "bin_num": BINS, "transform_param": {"transform_type": None}}
    )
    return _measured("HeteroFeatureBinning", dict.fromkeys(inputs, p), inputs, compute)


def _selected(tables: Mapping[Member, Table], binned: StepResult, compute: Compute) -> Run:
    inputs = {m: Inputs({"data": [t]}, isometric_model=binned.outputs[m].model) for m, t in tables.items()}
    p = component("HeteroFeatureSelection").params.model_validate(
        {"filter_methods": METHODS, "iv_percentile_param": {"percentile_threshold": 0.8}}
    )
    return _measured("HeteroFeatureSelection", dict.fromkeys(inputs, p), inputs, compute)


def _ivs(result: StepResult) -> Floats:
    """IVs of the guest's columns, then the host's."""
    param = cast(pb.FeatureBinningParam, (result.outputs[GUEST].model or {})["FeatureBinningParam"])
    own, told = param.binning_result.binning_result, param.host_results[str(HOST)].binning_result
    return np.array([own[name].iv for name in param.header] + [told[f"{HOST}_{i}"].iv for i in range(len(told))])


def _pooled(x: Floats, y: NDArray[np.int64]) -> Floats:
    """The same in one place, written out with NumPy."""
    found = []
    for column in x.T:
        bins = bins_of(column, quantile_points(column, BINS))
        bad, good = (np.bincount(bins[y == value], minlength=bins.max() + 1).astype(float) for value in (1, 0))
        empty = (bad == 0) | (good == 0)
        bad, good = (counts + 0.5 * empty for counts in (bad, good))
        rates = bad / np.sum(y == 1), good / np.sum(y == 0)
        found.append(np.sum((rates[1] - rates[0]) * np.log(rates[1] / rates[0])))
    return np.array(found)


def _table(host: Table) -> BinTable:
    points = {name: quantile_points(column, BINS) for name, column in host.columns.items()}
    bins = np.stack([bins_of(host.columns[name], found) for name, found in points.items()])
    return BinTable.of(bins, [len(found) for found in points.values()])


def _paillier_floor(host: Table) -> float:
    """CPU seconds: seal a label of each row, a product per row and table of columns, reveal and open the sums."""
    table, key, few = _table(host), generate(2048), 256
    plan, party = packing(key.public, table.rows), evaluator(key.public)
    encrypted = plan.encrypt(owner_evaluator(key), np.ones((few, 1)))
    column = party.plan_histogram(table.bins[:1, :few], table.counts[:1])
    rows = column.rows(plan.receive(party, encrypted.seal()), plan)
    replies = [rows.sums().reveal() for _ in range(20)]
    opener = Opener(key, {SUMS.name: Allowance(len(replies), replies[0].count)})
    start = time.process_time()
    for number, reply in enumerate(replies):
        opener.integers(SUMS.name, number, reply)
    opening = (time.process_time() - start) / len(replies)
    per_row = cost(encrypted.seal) / few + len(groups(table.counts, table.rows)) * cost(rows.sums) / few
    return table.rows * per_row + plan.ciphertexts(table.cells) * (cost(rows.sums().reveal) + opening)


def _shared_floor(host: Table) -> float:
    """CPU seconds: two parties draw the masked matrix, two multiply it by a vector, both draw that one."""
    table, ring = _table(host), WordRing()
    rows = min(table.rows, 2**13)
    deal = Deal.new(rows, table.cells, ring, 0)
    stream = Stream(bytes(32), b"floor")
    words = np.ones((rows, table.cells), "<u4")
    draw = cost(lambda: [deal.matrix_mask(stream, block) for block in range(deal.blocks)])
    multiply = cost(lambda: product(words, words[:, :1]))
    vector = cost(lambda: deal.vector_masks(stream, range(1), slice(0, rows)))
    return 2 * (draw + multiply + vector) * table.rows / rows


def _generated() -> tuple[Floats, NDArray[np.int64], list[str]]:
    random = np.random.default_rng(0)
    x = random.standard_normal((30_000, 23)).round(2)
    y = (x.sum(1) / 5 + random.standard_normal(30_000) > 0.8).astype(np.int64)
    return x, y, [f"row{i}" for i in range(len(y))]
