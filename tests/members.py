"""Members and small tables that tests share."""

from __future__ import annotations

import numpy as np

from federatedml.data.table import Column, Kind, Table
from federatedml.federation.party import Member, Role

GUEST = Member(Role.GUEST, "9999")
HOST = Member(Role.HOST, "10000")
OTHER_HOST = Member(Role.HOST, "10002")
ARBITER = Member(Role.ARBITER, "10001")


def table(ids: list[str], labelled: str | None = None, kind: Kind = Kind.INSTANCES, **columns: Column | list) -> Table:
    """A table of literal columns; ``labelled`` names the one that is the label."""
    arrays = {
        name: np.array(values, dtype=object if any(isinstance(v, str | None) for v in values) else None)
        for name, values in columns.items()
    }
    return Table(np.array([*ids, None], dtype=object)[:-1], arrays, labelled, kind)
