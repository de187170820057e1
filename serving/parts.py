"""A party's part of scores on the wire: an array per component as a message, and back from one that may be hostile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from airfed_proto.v1 import serving_pb2 as pb
from serving.model import MAX_NUMBERS

MAX_REPLY = 4 << 20  # bytes
MAX_PARTS = 16  # of a reply: one per component that has a part


def encoded(component: str, values: NDArray[np.float64]) -> pb.PartialScore:
    """(n,) or (n, k) finite numbers; those of several that are 0 and 1 alone take a bit each."""
    if values.ndim == 1:
        return pb.PartialScore(component=component, values=values.tolist())
    width = values.shape[1]
    if np.isin(values, (0.0, 1.0)).all():
        return pb.PartialScore(component=component, width=width, bits=np.packbits(values.astype(np.uint8)).tobytes())
    return pb.PartialScore(component=component, width=width, values=values.reshape(-1).tolist())


def fits(part: pb.PartialScore, rows: int) -> bool:
    """Whether a part has as many numbers as it says, found without looking at one of them."""
    width = part.width
    if width > MAX_NUMBERS or (part.bits and (part.values or not width)):
        return False
    count = rows * max(width, 1)
    return len(part.bits) == -(-count // 8) if part.bits else len(part.values) == count


def decoded(part: pb.PartialScore, rows: int, used: int | None = None) -> NDArray[np.float64] | None:
    """(rows,) or (rows, width) finite numbers; None for what does not have as many as it says, or as are used.

    Args:
        used: of a part of several numbers a row, the first ones that are of use; the others never become numbers of
            eight bytes.
    """
    if not fits(part, rows):
        return None
    shape = (rows, part.width) if part.width else (rows,)
    if part.bits:
        values = np.unpackbits(np.frombuffer(part.bits, np.uint8), count=rows * part.width)
    else:
        values = np.array(part.values, np.float64)
        if not np.isfinite(values).all():
            return None
    values = values.reshape(shape)
    if used is not None:
        if values.ndim != 2 or part.width < used:
            return None
        values = values[:, :used]
    return values.astype(np.float64)
