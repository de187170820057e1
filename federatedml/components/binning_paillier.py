"""Events per bin of the hosts' columns, protocol ``paillier``: FATE's, without its second ciphertext per row.

    1. guest:    makes a key                        public key, [y] of every row -> hosts      y is 0 or 1
    2. host i:   rows of each bin -> guest          (counts, so that others = rows - events)
                 sums of [y] per column and bin     [sums], several in a ciphertext -> guest
    3. guest:    decrypts

Sums are signed numbers in slots of 1 + bits(rows) bits. What stands above them is flooded by uniform numbers and each
ciphertext gets fresh noise of full length, so that neither plaintexts that are no labels nor noise that the guest chose
tell which rows are in a bin.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from federatedml.components.binning_params import FeatureBinningParams
from federatedml.components.binning_told import ToldBins, count_sums
from federatedml.components.binning_topics import KEY, LABELS, SUMS
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.codec import Floats
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.keys import PublicKey, PublicKeyCodec, generate
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.paillier.packing import Packing
from federatedml.federation.box import Box
from federatedml.federation.party import Member


def packing(public: PublicKey, rows: int) -> Packing:
    """How labels are encrypted and their sums told."""
    return Packing.of(public, 1.0, rows, values=1, scale_bits=0)


def ask(p: FeatureBinningParams, box: Box, labels: Floats, told: Mapping[Member, ToldBins]) -> dict[Member, Floats]:
    """At the guest: (cells,) events of each bin of each host.

    Args:
        labels: (rows,) zeros and ones.
    """
    private = generate(p.encrypt_param.key_length)
    plan = packing(private.public, len(labels))
    asked = {host: bins.cells for host, bins in told.items() if bins.cells}
    opened = {f"{SUMS.name} {host}": Allowance(1, plan.ciphertexts(cells)) for host, cells in asked.items()}
    opener = Opener(private, opened, box.compute.workers)
    sealed = plan.encrypt(owner_evaluator(private, box.compute), labels[:, None]).seal()
    for host in asked:
        box.send(KEY, np.frombuffer(private.public.to_bytes(), "|u1"), to=host)
        box.send(LABELS, sealed, to=host)
    return {
        host: plan.open(opener, f"{SUMS.name} {host}", 0, box.recv(SUMS, source=host), cells)[:, 0]
        for host, cells in asked.items()
    }


def answer(p: FeatureBinningParams, box: Box, table: BinTable, copies: int) -> None:
    """At a host that has columns: tell the sums of its bins."""
    public = PublicKeyCodec(p.encrypt_param.key_length).decode(box.recv(KEY).tobytes())
    plan, party = packing(public, table.rows), evaluator(public, box.compute)
    rows = party.plan_splits(table).rows(plan.receive(party, box.recv(LABELS)), plan)
    reply = rows.sums().reveal()
    rows.close()
    count_sums(box, table.rows // copies, plan.slot_bits)
    box.send(SUMS, reply)
