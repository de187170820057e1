"""SecureAddExample: the members add numbers that they share out at random; FATE's smoke test of a deployment.

Each member has ``data_num`` made-up whole numbers below 2^20, which everybody can compute (``_numbers``): nothing here
is secret, the protocol treats the numbers as if they were.

1. every member -> every other: one additive share of its numbers, modulo 2^64; the last share stays at home;
2. every other member -> guest: the sum of all entries of all shares that it holds. With the guest's they add up to the
   sum of all numbers, which the guest compares with what it must be.

So every pair of gateways carries a message, and a checkpoint lies between the two rounds. Data that the DSL names as
input is waited for and not read; the output is the member's own numbers, as instances with the same ids everywhere.

Parties: one guest, hosts, an arbiter if there is one. Semi-honest. Leaks: the sum.
"""

from __future__ import annotations

import hashlib
from typing import cast

import numpy as np
from pydantic import Field

from federatedml.component import Component, Inputs, MemberParams, Outputs, Params
from federatedml.crypto.ring import Words
from federatedml.crypto.stream import Stream, new_seed
from federatedml.data.table import Table
from federatedml.errors import DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector
from federatedml.views import Grid

ALL = (Role.GUEST, Role.HOST, Role.ARBITER)
UNUSED_BITS = 44  # of a word; the rest is a number
SUM = "the sum of all members' numbers; with one other member that is the sum of its numbers"


class SecureAddParams(Params):
    """FATE's parameters; ``partition`` chooses nothing here."""

    seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="of the numbers; null: made from the job's id",
        json_schema_extra={"fate": 123},
    )
    data_num: int = Field(
        1000, ge=1, le=1_000_000, description="numbers per member", json_schema_extra={"unit": "rows", "fate": 10_000}
    )
    partition: int = Field(1, ge=1, description="of FATE's engine; no effect")


SHARES = Topic(
    "shares", ALL, ALL, Vector("<u8"), Carries.MASKED, "nothing: uniform without the other shares of the sender"
)
PARTIAL_SUM = Topic("partial_sum", (Role.HOST, Role.ARBITER), (Role.GUEST,), Vector("<u8"), Carries.SHARES, SUM)


def guest(p: SecureAddParams, box: Box, inputs: Inputs) -> Outputs:
    """Exchange shares, open the sum, check it."""
    held = _exchange(p, box)
    total = held + np.sum([_checked(part, 1) for part in box.gather(PARTIAL_SUM).values()], axis=0, dtype=np.uint64)
    if total[0] != sum(int(_numbers(p, box, member).sum()) for member in box.members):
        raise ProtocolError("FED-373", f"{box.attempt.component}: the opened sum is not the sum of the numbers")
    found = float(total[0])
    box.metric("train", "secure_sum", 0, found)
    view = Grid("secure_add", "Secure addition", ["members", "numbers", "sum"], [[len(box.members), p.data_num, found]])
    return Outputs(_table(p, box), views=[view], summary={"secure_sum": found})


def other(p: SecureAddParams, box: Box, inputs: Inputs) -> Outputs:
    """Exchange shares, tell the guest their sum; host and arbiter run the same lines."""
    box.send(PARTIAL_SUM, _exchange(p, box))
    return Outputs(_table(p, box))


def _exchange(p: SecureAddParams, box: Box) -> Words:
    """The sum of all entries of the shares that this member holds in the end, (1,)."""
    if box.resume is not None:
        return cast(Words, box.resume.state["held"])
    stream, held = Stream(new_seed(), box.attempt.context()), _numbers(p, box, box.me)
    for index, peer in enumerate(box.peers(SHARES)):
        share = stream.words("share", index, p.data_num)
        box.send(SHARES, share, to=peer)
        held = held - share
    for share in box.gather(SHARES).values():
        held = held + _checked(share, p.data_num)
    total: Words = np.sum(held, dtype=np.uint64).reshape(1)
    box.checkpoint(1, {"held": total})
    box.progress(0.5, "shares are exchanged")
    return total


def _numbers(p: SecureAddParams, box: Box, member: Member) -> Words:
    """A member's numbers, (data_num,), the same in every attempt."""
    job = box.attempt
    origin = [str(p.seed)] if p.seed is not None else [job.initiator, job.job_id, job.component]
    seed = hashlib.sha256("\0".join([*origin, str(member)]).encode()).digest()
    return Stream(seed, b"SecureAddExample").words("numbers", 0, p.data_num) >> np.uint64(UNUSED_BITS)


def _checked(words: Words, length: int) -> Words:
    if len(words) != length:
        raise ProtocolError("FED-381", f"an array of {len(words)} words came, expected {length}")
    return words


def _table(p: SecureAddParams, box: Box) -> Table:
    ids = np.array([str(row) for row in range(p.data_num)], dtype=object)
    return Table(ids, {"number": _numbers(p, box, box.me).astype(np.float64)}, origin=box.attempt.component)


def _settle(submitted: MemberParams) -> MemberParams:
    """``DslError`` unless one guest checks numbers that all members make in the same way."""
    guests = [member.party for member in submitted if member.role is Role.GUEST]
    if len(guests) != 1:
        raise DslError("FED-181", f"SecureAddExample runs with {len(guests)} guests", "exactly one")
    if len({p.model_dump_json() for p in submitted.values()}) > 1:
        raise DslError("FED-180", "parameters of SecureAddExample differ between parties", "none may")
    return submitted


SECURE_ADD = Component(
    module="SecureAddExample",
    title="Add numbers of all parties without showing them: does everybody reach everybody",
    params=SecureAddParams,
    roles={Role.GUEST: guest, Role.HOST: other, Role.ARBITER: other},
    topics=(SHARES, PARTIAL_SUM),
    learns={Role.GUEST: [SUM]},
    inputs=("data",),
    input_required=False,
    optional_roles=(Role.ARBITER,),
    need_deploy=False,
    cost=("Each member sends every other one 8 bytes per number; time grows with members x numbers.",),
    settle=_settle,
)
