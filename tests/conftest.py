"""Makes ``tests`` a package that every test can import from (``tests.conformance``, ``tests.members``), and lets no
property test fail because the machine is busy or because it drew other examples than the day before.

``AIRFED_EXPLORE=1`` draws new examples at every run, to look for what the fixed ones do not show.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes that tests start write bytecode, as they do elsewhere

EXPLORE = bool(os.environ.get("AIRFED_EXPLORE"))
settings.register_profile(
    "airfed", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not EXPLORE
)
settings.load_profile("airfed")

if not EXPLORE:  # it draws constants of the loaded modules too: of others after other tests, or at another worker
    providers._get_local_constants = lambda: providers._local_constants  # of none
