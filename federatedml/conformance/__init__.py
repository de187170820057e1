"""The contract of components as tests that every component inherits, also one that another package installs.

The author writes one test file, for any runner that calls ``test_*`` methods of a class and gives ``tmp_path``
(pytest does)::

    from federatedml.conformance import Case, Conformance

    class TestMine(Conformance):
        def cases(self):
            members = {GUEST: MineParams(), HOST: MineParams()}
            inputs = {GUEST: Inputs({"data": [...]}), HOST: Inputs({"data": [...]})}
            return {"plain": Case(MINE, members, inputs, reference=pooled)}

``pooled(outputs)`` gives pairs of what was found and what the same computation gives on the rows of all parties at one
place. ``python -m federatedml.conformance test_mine.py`` writes the golden charts of the messages beside the file.

A case is small: every member dies at every point of it. ``Conformance`` says what is checked.
"""

from federatedml.conformance.case import Case, Pooled, Same
from federatedml.conformance.require import Broken
from federatedml.conformance.suite import Conformance

__all__ = ["Broken", "Case", "Conformance", "Pooled", "Same"]
