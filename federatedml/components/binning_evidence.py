"""Weight of evidence and information value of bins.

With events (label 1) and other rows per bin, and their totals:

    woe = ln( (others / others of all bins) / (events / events of all bins) )
    iv  = sum over bins of (rate of others - rate of events) * woe

A bin without events, or without others, gets ``adjustment_factor`` on both counts before they are divided by the
totals (FATE's rule: totals stay as they are).
"""

from __future__ import annotations

import numpy as np

from airfed_proto.v1 import features_pb2 as pb
from federatedml.components.binning_bins import Integers


def evidence(events: Integers, counts: Integers, factor: float, has_missing: bool) -> pb.IVParam:
    """Counts, rates, WOE and IV of one column's bins.

    Args:
        events: (k,) rows of each bin with label 1; not all of the rows, and not none.
        counts: (k,) rows of each bin.
        has_missing: the last bin is that of missing values.
    """
    others = counts - events
    add = np.where((events == 0) | (others == 0), factor, 0.0)
    event_rate = (events + add) / events.sum()
    other_rate = (others + add) / others.sum()
    woe = np.log(other_rate / event_rate)
    iv = (other_rate - event_rate) * woe
    steps = np.diff(woe[:-1] if has_missing else woe)
    return pb.IVParam(
        woe_array=woe.tolist(),
        iv_array=iv.tolist(),
        event_count_array=events.tolist(),
        non_event_count_array=others.tolist(),
        event_rate_array=event_rate.tolist(),
        non_event_rate_array=other_rate.tolist(),
        iv=float(iv.sum()),
        is_woe_monotonic=bool((steps >= 0).all() or (steps <= 0).all()),
        bin_nums=len(counts),
        has_missing_bin=has_missing,
    )
