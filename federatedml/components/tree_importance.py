"""Which features the trees use: FATE's two measures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airfed_proto.v1 import trees_pb2


@dataclass(frozen=True)
class Used:
    """One split of a tree.

    Attributes:
        sitename: member whose feature it is ("host_10000").
        feature: index among that member's features; of another party a pseudonym.
        gain: of the split.
    """

    sitename: str
    feature: int
    gain: float


def importances(
    splits: Iterable[Used], kind: str, names: dict[tuple[str, int], str]
) -> list[trees_pb2.FeatureImportanceInfo]:
    """By feature, the most important first; ``importance`` is what ``kind`` says, ``importance2`` the other one.

    Args:
        kind: "split" (how often it is used) or "gain" (what that gains in sum).
        names: shown names of features.
    """
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for split in splits:
        count, gain = found.get((split.sitename, split.feature), (0.0, 0.0))
        found[split.sitename, split.feature] = count + 1, gain + split.gain
    first = 0 if kind == "split" else 1
    rows = [
        trees_pb2.FeatureImportanceInfo(
            sitename=key[0],
            fid=key[1],
            importance=both[first],
            importance2=both[1 - first],
            fullname=names.get(key, ""),
            main=kind,
        )
        for key, both in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.importance, row.sitename, row.fid))
