"""HeteroSecureBoost, protocol ``shared``: boosted trees on columns of several parties, who share all rows.

The guest has the labels and columns, each host its own columns; the arbiter deals correlated randomness
(``crypto.dealt``) and hears of shapes and of the number of rounds. Every host's bins are a fixed matrix of zeros and
ones: which rows are on the left of which split candidate. Before the trees:

    1. seeds from the arbiter; each host tells its shape, and its masked matrix block by block, once for many rounds
    2. the arbiter's corrections, so that guest and host hold shares of what any planned vector will give

Then per round (k trees, one a class) and level:

    3. guest to host: masked g and h of the nodes that are asked about, and its share under another mask
    4. host to guest: the sums of all candidates, in an order of its own
    5. guest to host: the chosen candidates, and masked sets of the rows of their nodes
    6. host to guest: which rows of these nodes go left

Splits are XGBoost's on the same bins (``tree_splits``); vectors are scaled one by one so that 32 bits are enough.

Parties: guest, hosts, arbiter. Semi-honest; the arbiter colludes with nobody: with the guest it could unmask a host's
columns, with a host the labels. Guest and hosts must talk directly, encrypted end to end (the gateways' mutual TLS).
Leaks: what the topics and the component's ``learns`` say; the guest reads plain sums of anonymous candidates.
Cost, for n rows, m candidates, depth D, T rounds of k trees, q = 2^(D-1): before the trees 4 n m bytes host to guest
and 2 n m q k T multiplications each at guest and arbiter (34e9 a second on two cores); per round n columns q k
additions at a host, 8 n q k bytes guest to host, 16 m q k bytes back, and 2 D exchanges.
"""

from __future__ import annotations

from federatedml.components.tree_shared_dealer import deal
from federatedml.components.tree_shared_guest import SharedHosts
from federatedml.components.tree_shared_host import SharedAnswers
from federatedml.components.tree_shared_topics import LEARNS, TOPICS

__all__ = ["LEARNS", "TOPICS", "SharedAnswers", "SharedHosts", "deal"]
