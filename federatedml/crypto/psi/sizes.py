"""Sizes of a run: a pure function of the two numbers of ids, so that both parties know them and nothing else shows.

Both parties put their ids into the same buckets, by a keyed hash of the id, and work on bucket by bucket. The number of
ids in a bucket would tell something about them, so every bucket is filled up to a capacity that is exceeded with
probability 2^-40 only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BUCKET_IDS = 2**15  # in the fuller party's buckets, on average: a message of some 2 MiB
STATISTICAL_BITS = 40
SECURITY_BITS = 128
EXPANSION = 1.27  # bins per id (Pinkas, Schneider, Zohner 2018, for three hash functions and no stash)
SPARE_BINS = 64  # per hash function, for short lists
HASHES = 3
BIN_STEP = 128  # bins per hash function come in whole blocks of AES and of the transposition
MIN_VALUE_BYTES = 8


@dataclass(frozen=True)
class Sizes:
    """What both parties know before the first bucket.

    Attributes:
        buckets: how many.
        guest_ids, host_ids: capacity of one bucket.
        bins: of one hash function in one bucket; a bucket has three times as many rows.
        words: 64-bit words of a row, that is of a code word.
        value_bytes: length of a value that the host sends.
    """

    buckets: int
    guest_ids: int
    host_ids: int
    bins: int
    words: int
    value_bytes: int

    @classmethod
    def of(cls, guest: int, host: int) -> Sizes:
        """Sizes for lists of ``guest`` and ``host`` ids, at least 1 each."""
        buckets = max(1, round(max(guest, host) / BUCKET_IDS))
        most = capacity(guest, buckets)
        bins = math.ceil(EXPANSION * most / HASHES) + SPARE_BINS
        return cls(
            buckets,
            most,
            capacity(host, buckets),
            BIN_STEP * math.ceil(bins / BIN_STEP),
            code_words(host),
            value_bytes(guest, host),
        )

    @property
    def rows(self) -> int:
        """Rows of the transfer matrix per bucket."""
        return HASHES * self.bins

    @property
    def guest_tests(self) -> int:
        """Different ids that a guest can test, however few it says it has.

        A row gives the guest the function's value of one code word, that is of one id, and the host cannot see which
        rows hold one: a guest may fill those that a list of its length leaves empty. So every row of every bucket
        counts. Of equal lists these are some 1.3 times the ids; a short list has its least bins in each bucket of a
        long one. An id in two of its three rows would waste one. (This is of matrices made of code
        words: ``oprf`` says what others do.)
        """
        return self.buckets * self.rows

    @property
    def host_tests(self) -> int:
        """Answers that a host can get, however few ids it says it has.

        It learns of each entry of each bucket whether it matched, and the guest cannot see which entries hold an id:
        all count. The three values of an entry need not be of one id, but value k is compared only with ids that the
        guest placed by hash function k, of which the host knows nothing: each id is placed by one of the three. So
        three ids in an entry share its one answer, which does not say for which of them it is.
        """
        return self.buckets * self.host_ids


def capacity(ids: int, buckets: int) -> int:
    """Entries with which none of the buckets overflows but with probability 2^-40 (Chernoff, union bound)."""
    if buckets == 1:
        return ids
    mean, nats = ids / buckets, (STATISTICAL_BITS + math.log2(buckets)) * math.log(2)
    return min(ids, math.ceil(mean + nats / 3 + math.sqrt(nats * nats / 9 + 2 * mean * nats)))


def code_words(host: int) -> int:
    """Words of the pseudo-random code.

    Every one of the host's three code words per id must differ from the guest's code word in its bin in at least 128
    positions, but with probability 2^-40 for all together (Kolesnikov and others 2016, section 3.2).
    """
    for words in (7, 8):
        width = 64 * words
        near = sum(math.comb(width, distance) for distance in range(SECURITY_BITS))
        if math.log2(near) - width + math.log2(HASHES * host) <= -STATISTICAL_BITS:
            return words
    raise ValueError(f"{host} ids: more than a code of 512 bits is good for")


def value_bytes(guest: int, host: int) -> int:
    """Length with which two values of different ids are equal with probability 2^-40 for all pairs together."""
    return max(MIN_VALUE_BYTES, math.ceil((STATISTICAL_BITS + math.log2(HASHES * guest * host)) / 8))
