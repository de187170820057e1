"""HeteroFeatureBinning: bins of columns of several parties, with weight of evidence and information value at the guest.

Every party cuts its own columns into bins, by itself: quantiles of its own rows, or equal widths. The guest has labels
of two values, so it knows the events of its own bins; of a host's bins it learns how many rows and how many events each
has, by one of two protocols (``binning_paillier``, ``binning_shared``), and computes their WOE and IV
(``binning_evidence``). Hosts' columns have no names at the guest, only positions.

    0. all:      guest and each host compare digests of their ids
    1. host:     rows of each bin of each column -> guest
    2. the protocol: events of each bin -> guest

Parties: guest, hosts, with ``shared`` the arbiter. Semi-honest. Leaks: what the topics say. Of a host's table the guest
learns two numbers per bin, of at least ``min_bin_rows`` rows: these, and events. The events of a bin are one linear
equation in which of the guest's rows are in it; a guest that seals other numbers than labels gets as many bits of such
equations per bin as a sum has (``paillier``: 1 + bits of the number of rows, ``shared``: 32), and hosts count them over
jobs (``binning_told.count_sums``) up to half as many as the table has rows: under ``shared`` a table needs 64 rows, and
one of 569 takes eight jobs; under ``paillier``, 11 bits a job, 25. A plan knows no numbers of rows, so ``auto`` does
not depend on them: for small tables, or many jobs on one, the conf sets ``protocol``. Hosts get no equation in the
labels, and therefore have no WOE to transform by.

Rows count once each: a table whose rows have weights (FederatedSample's upsample) is refused (FED-721).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Component, Inputs, MemberParams, ModelBuffers, ModelSpec, Outputs, Prediction, Scorer
from federatedml.components import binning_paillier, binning_shared
from federatedml.components.binning_bins import ColumnBins, Integers, bin_table, fitted
from federatedml.components.binning_evidence import evidence
from federatedml.components.binning_model import META, PARAM, check, model, of_hosts, transform
from federatedml.components.binning_params import LEAST_ROWS, FeatureBinningParams
from federatedml.components.binning_told import BIN_SUMS, ToldBins, checked_events, message, told_bins
from federatedml.components.binning_topics import BINS, LEARNS, TOPICS
from federatedml.components.binning_views import views
from federatedml.components.common_rows import same_rows
from federatedml.components.linear_model import binary_labels
from federatedml.crypto.codec import Floats
from federatedml.crypto.paillier.keys import DEFAULT_BITS
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role


def guest(p: FeatureBinningParams, box: Box, inputs: Inputs) -> Outputs:
    """Bin the own columns, learn the events of the hosts' bins, compute WOE and IV of all."""
    table = inputs.one("data", "train_data", "eval_data")
    if not p.need_run or inputs.model is not None:
        return _transformed(p, box, table, inputs.model)
    _check_unweighted(p, table)
    bins = fitted(p, table, 0)
    if p.skip_static:
        return _outputs(box, table, model(p, box.me, table.header, bins))
    labels, classes = binary_labels(table)
    events = {name: _events(table, name, column, labels) for name, column in bins.items()}
    own = {name: _evidence(p, bins[name], events[name]) for name in bins}
    buffers = model(p, box.me, table.header, bins, own)
    param = cast(pb.FeatureBinningParam, buffers[PARAM])
    param.classes.extend(classes)
    if p.exchanges:
        box.progress(0.1, "own columns binned")
        told = _of_hosts(p, box, table, labels)
        for member, result in of_hosts(told).items():
            param.host_results[member].CopyFrom(result)
    return _outputs(box, table, buffers)


def host(p: FeatureBinningParams, box: Box, inputs: Inputs) -> Outputs:
    """Bin the own columns, tell the guest how many rows and events each bin has, without learning the latter."""
    table = inputs.one("data", "train_data", "eval_data")
    if not p.need_run or inputs.model is not None:
        return _transformed(p, box, table, inputs.model)
    if p.local_only:
        return _outputs(box, table, model(p, box.me, table.header, {}))
    bins = fitted(p, table, p.min_bin_rows * table.copies)
    buffers = model(p, box.me, table.header, bins)
    if p.exchanges:
        same_rows(box, table)
        box.send(BINS, message(table.header, bins))
        box.progress(0.1, "own columns binned")
        rows = bin_table(table, bins)
        if p.protocol == "shared":
            binning_shared.answer(box, rows, table.copies)
        elif bins:
            binning_paillier.answer(p, box, rows, table.copies)
    return _outputs(box, table, buffers)


def arbiter(p: FeatureBinningParams, box: Box, inputs: Inputs) -> Outputs:
    """Deal for protocol ``shared``; its model is empty."""
    if p.exchanges and inputs.model is None and p.protocol == "shared":
        binning_shared.serve(box)
    return Outputs(model=inputs.model or model(p, box.me, [], {}))


def _check_unweighted(p: FeatureBinningParams, table: Table) -> None:
    """``DataError`` (``FED-721``): each row would count once, and the statistics be those of other rows."""
    if table.weight is not None and not p.skip_static:
        raise DataError(
            "FED-721",
            "the table weighs its rows by a column, which HeteroFeatureBinning does not count",
            f"{table.weight!r}: HeteroFeatureBinning before FederatedSample, or repeats there, or skip_static",
        )


def _of_hosts(p: FeatureBinningParams, box: Box, table: Table, labels: Floats) -> dict[Member, dict[int, pb.IVParam]]:
    """At the guest: what it learns of each host's columns, by position."""
    same_rows(box, table)
    told = {host: told_bins(sent, len(table), host) for host, sent in box.gather(BINS).items()}
    sums = (
        binning_shared.ask(box, labels, told) if p.protocol == "shared" else binning_paillier.ask(p, box, labels, told)
    )
    total = int(labels.sum())
    return {
        host: _told(p, bins, checked_events(sums[host], bins, total, host)) if bins.cells else {}
        for host, bins in told.items()
    }


def _told(p: FeatureBinningParams, bins: ToldBins, events: list[Integers]) -> dict[int, pb.IVParam]:
    found = zip(bins.columns, events, bins.counts, bins.missing, strict=True)
    return {place: evidence(of_bins, rows, p.adjustment_factor, missing) for place, of_bins, rows, missing in found}


def _events(table: Table, name: str, column: ColumnBins, labels: Floats) -> Integers:
    bins = column.of(table.columns[name].astype(np.float64))
    return np.bincount(bins, weights=labels, minlength=len(column.counts)).astype(np.int64)


def _evidence(p: FeatureBinningParams, column: ColumnBins, events: Integers) -> pb.IVParam:
    return evidence(events, column.counts, p.adjustment_factor, column.has_missing)


def _transformed(p: FeatureBinningParams, box: Box, table: Table, fitted: ModelBuffers | None) -> Outputs:
    """With a fitted model, or as it is: a model that changes nothing."""
    buffers = fitted if fitted is not None else model(p, box.me, table.header, {})
    found = transform(buffers, table) if p.need_run else table
    return Outputs(replace(found, origin=box.attempt.component), buffers, summary={"rows": len(table)})


def _outputs(box: Box, table: Table, buffers: ModelBuffers) -> Outputs:
    columns = dict(_columns(cast(pb.FeatureBinningParam, buffers[PARAM])))
    summary = {"rows": len(table), "columns": len(columns), "bins": sum(found.bin_nums for found in columns.values())}
    return Outputs(replace(transform(buffers, table), origin=box.attempt.component), buffers, views(columns), summary)


def _columns(param: pb.FeatureBinningParam) -> Iterator[tuple[str, pb.IVParam]]:
    """The bins of all columns that a party knows of, in the order of the columns: maps of messages have none."""
    own = param.binning_result.binning_result
    yield from ((name, own[name]) for name in param.header if name in own)
    for _, result in sorted(param.host_results.items()):
        found = result.binning_result
        yield from ((name, found[name]) for name in sorted(found, key=lambda name: (len(name), name)))


def _settle(submitted: MemberParams) -> MemberParams:
    """Decide ``auto``; ``DslError`` unless all have what must be alike, and hosts do not ask for WOE."""
    given = cast(Mapping[Member, FeatureBinningParams], submitted)
    alike = ("need_run", "local_only", "skip_static", "protocol", "encrypt_param", "min_bin_rows")
    for name in alike:
        if len({repr(getattr(p, name)) for p in given.values()}) > 1:
            raise DslError("FED-837", f"HeteroFeatureBinning: {name} differs between parties", "the same for all")
    first = next(iter(given.values()))
    if any(m.role is Role.HOST and p.exchanges and p.transform_param.transform_type == "woe" for m, p in given.items()):
        raise DslError(
            "FED-838",
            "HeteroFeatureBinning: transform_type 'woe' at a host, which learns no WOE of its columns",
            "bin_num or null under role_parameters of the hosts",
        )
    if not first.exchanges:
        return submitted
    if not any(member.role is Role.HOST for member in given):
        raise DslError(
            "FED-839", "HeteroFeatureBinning runs without a host", "one or more, or local_only, or skip_static"
        )
    chosen = _protocol(given, first)
    return {member: p.model_copy(update={"protocol": chosen}) for member, p in given.items()}


def _protocol(given: Mapping[Member, FeatureBinningParams], first: FeatureBinningParams) -> str:
    """An arbiter that is also the guest or a host could unmask the other ones: it does not count."""
    others = {member.party for member in given if member.role is not Role.ARBITER}
    dealer = any(member.role is Role.ARBITER and member.party not in others for member in given)
    if first.protocol == "shared" and not dealer:
        raise DslError("FED-840", "HeteroFeatureBinning: protocol 'shared' needs an arbiter that is a party apart")
    if first.protocol != "auto":
        return first.protocol
    method = any("method" in p.encrypt_param.model_fields_set for p in given.values())
    return "paillier" if method or not dealer else "shared"


def _variant(component: Component, p: FeatureBinningParams) -> Component:
    """With the messages of the protocol that the parameters name."""
    if component.prediction is not None and component.topics is component.prediction.topics:
        return component
    if not p.exchanges or p.protocol == "auto":
        return component if p.exchanges else replace(component, topics=(), learns={}, spends=())
    learns = {role: [*texts, *_exceptions(role, p)] for role, texts in LEARNS[p.protocol].items()}
    return replace(component, topics=TOPICS[p.protocol], learns=learns)


def _exceptions(role: Role, p: FeatureBinningParams) -> Iterator[str]:
    """What a party learns more easily because the conf asks for less than the default."""
    if role is Role.GUEST and p.min_bin_rows < LEAST_ROWS:
        yield f"EXCEPTION: min_bin_rows is {p.min_bin_rows}, not {LEAST_ROWS}: a host's bins may single out few rows"
    if role is Role.HOST and p.protocol == "paillier" and p.encrypt_param.key_length < DEFAULT_BITS:
        yield f"EXCEPTION: whoever breaks a key of {p.encrypt_param.key_length} bits reads the labels"


def _notes(p: FeatureBinningParams) -> Iterator[str]:
    for name in ("compress_thres", "head_size", "error"):
        if getattr(p, name) != FeatureBinningParams.model_fields[name].default:
            yield f"{name} has no effect: quantiles are exact"
    if p.exchanges and p.protocol == "shared" and p.encrypt_param != FeatureBinningParams().encrypt_param:
        yield "encrypt_param has no effect under protocol 'shared'"
    if p.exchanges and p.protocol == "paillier" and p.encrypt_param.key_length < DEFAULT_BITS:
        yield f"encrypt_param.key_length {p.encrypt_param.key_length} is short: {DEFAULT_BITS} is the least to rely on"


HETERO_FEATURE_BINNING = Component(
    module="HeteroFeatureBinning",
    title="Cut columns into bins; weight of evidence and information value of all parties' columns at the guest",
    params=FeatureBinningParams,
    roles={Role.GUEST: guest, Role.HOST: host, Role.ARBITER: arbiter},
    topics=tuple({topic.name: topic for topics in TOPICS.values() for topic in topics}.values()),
    learns={
        role: [f"protocol {name!r}: {text}" for name, learns in LEARNS.items() for text in learns.get(role, ())]
        for role in Role
    },
    optional_roles=(Role.HOST, Role.ARBITER),
    has_model=True,
    model=ModelSpec({META: pb.FeatureBinningMeta, PARAM: pb.FeatureBinningParam}, check=check),
    scorer=Scorer(transform=transform),
    prediction=Prediction(),
    spends=(BIN_SUMS,),
    settle=_settle,
    variant=_variant,
    notes=lambda p: list(_notes(p)),
    cost=(
        "each party: a sort per column",
        "protocol 'paillier', key of 2048 bits: guest some 0.06 ms and 512 bytes a row and host; host about 2 us per "
        "row and column, less where columns have few bins; one ciphertext back per 100 bins",
        "protocol 'shared': all parties some 30 ns per row and bin of hosts, 4 bytes per row and bin from host "
        "to guest, 4 bytes per row back",
        "memory: paillier some 600 bytes a row at the host; shared one block of 16 MiB",
    ),
)
