"""Makes ``tests`` a package that every test can import from (``tests.conformance``, ``tests.members``), and lets no
property test fail because the machine is busy."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("airfed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("airfed")
