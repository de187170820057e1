"""Makes ``tests`` a package that every test can import from (``tests.conformance``, ``tests.members``)."""
