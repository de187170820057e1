"""Events per bin of the hosts' columns, protocol ``shared``: a linear map on shares, with the arbiter as dealer.

For each host, M (rows, bins) has a one where a row is in a bin, and y are the labels (``crypto.dealt``):

    1. arbiter:  a seed -> host, another -> guest; guest: number of rows -> arbiter
    2. host:     shape of M -> guest, arbiter, who sends a correction -> guest
    3. host:     M - A in blocks of rows -> guest       A of its seed
    4. guest:    y - b -> host                          b of its seed
    5. host:     its share of M^T y -> guest, who adds its own

The arbiter hears of shapes only, and deals for as many rows as the guest says, and no more than ``MOST_WORDS``: so a
host cannot keep it busy with a map of its choice. Cost: 4 bytes per row and bin from host to guest, 4 bytes per row the
other way.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from federatedml.components.binning_told import MOST_CELLS, ToldBins, check_work, count_sums
from federatedml.components.binning_topics import (
    CORRECTION,
    MASKED_BINS,
    MASKED_LABELS,
    ROWS,
    SEED,
    SETUP,
    SHARED_SUMS,
)
from federatedml.components.common_rows import expect
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.codec import Floats
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.dealer import MapDealer
from federatedml.crypto.dealt.holder import DealtHolder
from federatedml.crypto.dealt.owner import DealtOwner
from federatedml.crypto.stream import Stream, new_seed
from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role


def ask(box: Box, labels: Floats, told: Mapping[Member, ToldBins]) -> dict[Member, Floats]:
    """At the guest: (cells,) events of each bin of each host.

    Args:
        labels: (rows,) zeros and ones.
    """
    box.send(ROWS, np.array([len(labels)], "<i8"))
    found = {host: _asked(box, labels, host, bins.cells) for host, bins in told.items()}
    return {host: sums for host, sums in found.items() if len(sums)}


def _asked(box: Box, labels: Floats, host: Member, cells: int) -> Floats:
    place = _place(box, host)
    stream = Stream(box.recv(SEED, place).tobytes(), box.attempt.context())
    setup = box.recv(SETUP, source=host)["setup"].tobytes()
    if not cells:
        return np.zeros(0)
    check_work(len(labels), cells)
    asker = DealtOwner(stream, box.compute).attach(len(labels), cells, 1, setup)
    for block in range(asker.deal.blocks):
        asker.pads.absorb(box.recv(MASKED_BINS, block, host))
    asker.pads.correct(box.recv(CORRECTION, place))
    box.send(MASKED_LABELS, asker.seal(labels), to=host)
    return asker.open(box.recv(SHARED_SUMS, source=host))


def answer(box: Box, table: BinTable, copies: int) -> None:
    """At a host: tell the sums of its bins, if it has any."""
    stream = Stream(box.recv(SEED).tobytes(), box.attempt.context())
    if not table.cells:
        return _announce(box, b"", 0, 0)
    check_work(table.rows, table.cells)
    plan = DealtHolder(stream, 1, compute=box.compute).plan_histogram(table.bins, table.counts)
    _announce(box, plan.setup_message(), plan.inputs, plan.outputs)
    for number, block in enumerate(plan.blocks()):
        box.send(MASKED_BINS, block, number)
    reply = plan.apply(box.recv(MASKED_LABELS)).reveal()
    count_sums(box, table.rows // copies, plan.deal.ring.bits)
    box.send(SHARED_SUMS, reply)


def _announce(box: Box, setup: bytes, inputs: int, outputs: int) -> None:
    box.send(SETUP, {"setup": np.frombuffer(setup, "|u1"), "shape": np.array([inputs, outputs], "<i8")})


def serve(box: Box) -> None:
    """At the arbiter: seeds for all, a correction for each host that has columns."""
    (guest,) = (member for member in box.members if member.role is Role.GUEST)
    hosts, context = _hosts(box), box.attempt.context()
    streams = {}
    for place, host in enumerate(hosts):
        seeds = new_seed(), new_seed()
        box.send(SEED, np.frombuffer(seeds[0], "|u1"), to=host)
        box.send(SEED, np.frombuffer(seeds[1], "|u1"), place, guest)
        streams[host] = [Stream(seed, context) for seed in seeds]
    rows = int(expect(box.recv(ROWS), 1)[0])
    for place, host in enumerate(hosts):
        deal = _told(box, host, rows)
        if deal is not None:
            ours, theirs = streams[host]
            (correction,) = MapDealer(deal, ours, theirs, box.compute).corrections(range(1))
            box.send(CORRECTION, correction, place)


def _told(box: Box, host: Member, rows: int) -> Deal | None:
    """At the arbiter: a host's map, if it has bins, of as many rows as the guest has."""
    told = box.recv(SETUP, source=host)
    cells = int(expect(told["shape"], 2)[1])
    if not 0 <= cells <= MOST_CELLS:
        raise ProtocolError("FED-833", f"{host} names {cells} bins, at most {MOST_CELLS}")
    if not cells:
        return None
    check_work(rows, cells)
    return Deal.from_bytes(told["setup"].tobytes(), rows, cells)


def _hosts(box: Box) -> list[Member]:
    return sorted(member for member in box.members if member.role is Role.HOST)


def _place(box: Box, host: Member) -> int:
    return _hosts(box).index(host)
