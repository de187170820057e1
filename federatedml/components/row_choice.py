"""Rows that the guest chooses and the hosts follow: how they are drawn, how hosts hear of them, and check them.

Where the choice depends on labels (stratified), a seed that hosts know would tell them the labels: they could try
which labels give the choice that they see. ``random_state`` stands in the conf, which all parties read. So such a
generator is seeded by the guest's whole table too: the same seed and table give the same rows, and whoever does not
know every label and feature of the guest cannot repeat the drawing.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from federatedml.components.common_rows import GUESSED, check_same, digest_of
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import AttemptKey, Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors

Rows = NDArray[np.int64]


def row_topic(name: str, dtype: str, learns: str) -> Topic[dict[str, Array]]:
    """A message from the guest to the hosts about their common rows: ``rows`` beside a digest of the ids."""
    codec = Tensors({"ids": ("|u1", 1), "rows": (dtype, 1)})
    return Topic(name, (Role.GUEST,), (Role.HOST,), codec, Carries.ROW_VALUES, f"{learns}; {GUESSED}")


def tell(box: Box, topic: Topic[dict[str, Array]], table: Table, rows: Array) -> None:
    """At the guest: send ``rows`` to all hosts."""
    box.send(topic, {"ids": digest_of(table), "rows": rows})


def told(box: Box, topic: Topic[dict[str, Array]], table: Table) -> Array:
    """At a host: what the guest sent, if both hold the same rows.

    Raises:
        DataError: ``FED-251``, they do not.
    """
    found = box.recv(topic)
    check_same(digest_of(table), found["ids"])
    return found["rows"]


def check_range(rows: Array, below: int, most: int) -> None:
    """Refuse numbers of rows that are not 0 to ``below`` - 1, or more than ``most`` of them."""
    if len(rows) > most or (len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < below)):
        raise ProtocolError("FED-879", "the guest chose rows that there are not", f"0 to {below - 1}, {most} of them")


def generator(attempt: AttemptKey, random_state: int | None, secret: Table | None) -> np.random.Generator:
    """Draws the same for the same seed, or within one job if there is none.

    Args:
        secret: the guest's table, if what is drawn depends on its labels and hosts see the outcome.
    """
    job = f"{attempt.initiator}/{attempt.job_id}/{attempt.component}"
    seed = hashlib.sha256((job if random_state is None else str(random_state)).encode())
    if secret is not None:
        seed.update(secret.digest())
    return np.random.default_rng(int.from_bytes(seed.digest()))


def known_labels(table: Table) -> Array:
    """(n,) labels.

    Raises:
        DataError: ``FED-203``, there are none; ``FED-881``, a row has none.
    """
    labels = table.labels()
    none = ~np.isfinite(labels) if labels.dtype.kind == "f" else np.array([label is None for label in labels.tolist()])
    if none.any():
        raise DataError("FED-881", f"{np.count_nonzero(none)} rows have no label")
    return labels


def strata(labels: Array) -> Rows:
    """(n,) number of each row's label among the distinct ones, ascending."""
    return np.unique(labels.astype(str) if labels.dtype.kind == "O" else labels, return_inverse=True)[1].astype(
        np.int64
    )


def spread(groups: Rows, draw: np.random.Generator | None) -> Rows:
    """An order of all rows in which every beginning of it has each group in proportion.

    With g groups, the rows of a group with share s in a beginning differ from its share of them by at most
    (1 + s (g - 2)) / 2, half a row with two groups: up to any depth t each group is within e_i <= 1/2 of its size
    times t, so the beginning is the sum of all e_i longer than n t, and the difference is e_i - s_i times that sum.

    Args:
        groups: (n,) number of each row's group.
        draw: mixes the rows of a group; None: they keep their order.
    """
    mixed = draw.permutation(len(groups)) if draw is not None else np.arange(len(groups))
    sizes = np.bincount(groups)
    order = mixed[np.argsort(groups[mixed], kind="stable")]  # group by group
    place = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    depth = (place + 0.5) / np.repeat(sizes, sizes)
    ties = draw.random(len(groups)) if draw is not None else np.zeros(len(groups))
    found: Rows = order[np.lexsort((ties, depth))]
    return found
