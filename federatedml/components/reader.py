"""Reader: hands a table of the party to the components behind it, once.

Local: no message leaves the party. Where a table changes under a job (a data base, a file that is replaced), everything
behind the Reader sees the rows that it read. A party whose components do not need the table need not have it.
"""

from __future__ import annotations

from dataclasses import replace

from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.federation.box import Box
from federatedml.federation.party import Role


class ReaderParams(Params):
    """None: the table is named among the party's tables, in conf v2 under the Reader's name."""


def party(p: ReaderParams, box: Box, inputs: Inputs) -> Outputs:
    """The table, if this party has one for this Reader."""
    if not inputs.data.get("data"):
        return Outputs()
    table = replace(inputs.one("data"), origin=box.attempt.component)
    return Outputs(table, summary={"rows": float(len(table)), "columns": float(len(table.columns))})


READER = Component(
    module="Reader",
    title="Hand a table of the party to the components behind it",
    params=ReaderParams,
    roles={Role.GUEST: party, Role.HOST: party},
    inputs=("data",),
    need_deploy=False,
    cost=("time and memory of reading the table and writing it once; no bytes to other parties",),
)
