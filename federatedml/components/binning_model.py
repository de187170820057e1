"""The model of HeteroFeatureBinning, and what it does to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import ModelBuffers
from federatedml.components.binning_bins import ColumnBins, chosen, finite, numbers
from federatedml.components.binning_params import MOST_BINS, FeatureBinningParams
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError, ModelError
from federatedml.federation.party import Member

META, PARAM = "FeatureBinningMeta", "FeatureBinningParam"


def model(
    p: FeatureBinningParams,
    me: Member,
    header: Sequence[str],
    bins: Mapping[str, ColumnBins],
    found: Mapping[str, pb.IVParam] | None = None,
) -> ModelBuffers:
    """What a party fitted.

    Args:
        header: its feature columns.
        found: what the guest knows of its own bins besides where they are.
    """
    results = {}
    for name, column in bins.items():
        results[name] = pb.IVParam(bin_nums=len(column.counts), has_missing_bin=column.has_missing)
        results[name].MergeFrom((found or {}).get(name, pb.IVParam()))
        results[name].split_points.extend(column.points.tolist())
    own = pb.FeatureBinningResult(binning_result=results, role=me.role, party_id=me.party)
    return {META: _meta(p, header, list(bins)), PARAM: pb.FeatureBinningParam(binning_result=own, header=header)}


def of_hosts(told: Mapping[Member, Mapping[int, pb.IVParam]]) -> dict[str, pb.FeatureBinningResult]:
    """What the guest knows of hosts' columns, by member; a column's name is ``MEMBER_POSITION``."""
    return {
        str(host): pb.FeatureBinningResult(
            binning_result={f"{host}_{position}": found for position, found in columns.items()},
            role=host.role,
            party_id=host.party,
        )
        for host, columns in told.items()
    }


def _meta(p: FeatureBinningParams, header: Sequence[str], binned: Sequence[str]) -> pb.FeatureBinningMeta:
    t = p.transform_param
    named = chosen(header, t.transform_cols, t.transform_names, "transform_cols") if binned else []
    changed = binned if t.transform_cols == -1 else named
    without = [name for name in changed if name not in binned]
    if without:
        raise DataError(
            "FED-830", f"transform_cols names {len(without)} columns that have no bins", ", ".join(map(repr, without))
        )
    transform = pb.TransformMeta(
        transform_cols=[header.index(name) for name in changed], transform_type=t.transform_type or ""
    )
    return pb.FeatureBinningMeta(
        need_run=p.need_run,
        compress_thres=p.compress_thres,
        head_size=p.head_size,
        error=p.error,
        bin_num=p.bin_num,
        cols=binned,
        adjustment_factor=p.adjustment_factor,
        local_only=p.local_only,
        transform_param=transform,
        method=p.method,
        skip_static=p.skip_static,
        protocol=p.protocol,
    )


def transform(fitted: ModelBuffers, table: Table) -> Table:
    """The table with numbers or WOE of bins in place of values, by a fitted model; columns are found by name.

    Raises:
        DataError: FED-836, a column is missing; FED-831, it does not hold finite numbers.
    """
    meta, param = cast(pb.FeatureBinningMeta, fitted[META]), cast(pb.FeatureBinningParam, fitted[PARAM])
    if not meta.need_run or not meta.transform_param.transform_type:
        return table
    names = [param.header[position] for position in meta.transform_param.transform_cols]
    if absent := [name for name in names if name not in table.columns]:
        raise DataError("FED-836", f"the table lacks {len(absent)} binned columns", ", ".join(map(repr, absent[:10])))
    kind, results = meta.transform_param.transform_type, param.binning_result.binning_result
    changed = {name: _changed(kind, results[name], finite(name, table.columns[name])) for name in names}
    return replace(table, columns={**table.columns, **changed})


def check(fitted: ModelBuffers) -> None:
    """``ModelError`` (``FED-609``) for bins that no column has, where values are replaced by them."""
    meta, param = cast(pb.FeatureBinningMeta, fitted[META]), cast(pb.FeatureBinningParam, fitted[PARAM])
    kind, results = meta.transform_param.transform_type, param.binning_result.binning_result
    names = [param.header[at] for at in meta.transform_param.transform_cols if 0 <= at < len(param.header)]
    if kind not in ("", "bin_num", "woe") or len(names) != len(meta.transform_param.transform_cols):
        raise ModelError("FED-609", "the model of HeteroFeatureBinning changes columns that it does not have")
    if kind and not all(name in results and _bins_fit(kind, results[name]) for name in names):
        raise ModelError("FED-609", "the model of HeteroFeatureBinning has bins that no column has")


def _bins_fit(kind: str, found: pb.IVParam) -> bool:
    points, woe = np.array(found.split_points), np.array(found.woe_array)
    bins = len(points) + found.has_missing_bin
    told = kind == "bin_num" or (len(woe) == bins and bool(np.isfinite(woe).all()))
    return 0 < len(points) <= MOST_BINS and bool(np.isfinite(points).all() and (np.diff(points) > 0).all()) and told


def _changed(kind: str, found: pb.IVParam, values: Floats) -> Floats:
    bins = numbers(values, np.array(found.split_points), found.has_missing_bin)
    return bins.astype(np.float64) if kind == "bin_num" else np.array(found.woe_array)[bins]
