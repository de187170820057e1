"""Linear maps on shares, with a dealer of correlated randomness: matrix products, histograms, splits of trees.

A job's plan fixes shapes and numbers of vectors; the dealer sends each of the two parties a seed. Then, for one map::

    holder (the matrix)                           owner (the vectors)
    plan = DealtHolder(stream, vectors)           asker = DealtOwner(stream).attach(
        .plan_splits(table)                           inputs, outputs, vectors, setup)
    plan.setup_message(), to dealer too -->
    plan.blocks()                       -->       asker.pads.absorb(block)              the long part, before
                                                  asker.pads.correct(correction) <--    dealer: corrections(columns)
    result = plan.apply(sealed)         <--       asker.seal(vectors)
    result.reveal()                     -->       asker.open(reply)                     sums of each cut

For trees: ``asker.lift(candidates)`` travels with ``seal``; ``plan.shuffle(...).reveal(result, lifted)`` tells the sums
of all split candidates, missing values to either side, in an order that only the holder knows; ``bits`` tells which
rows of a node go left. Results may also stay shared (``result.share()``, ``asker.share(reply)``), or be told to the
holder (``asker.tell()``, ``result.read(...)``).

Security: semi-honest parties. The dealer colludes with nobody and cannot read what holder and owner exchange: it could
unmask both, so those messages are encrypted end to end. A dishonest owner can ask for the sums of single rows, one
ring word per vector and output: the plan limits how many vectors there are, and the holder refuses more.
"""
