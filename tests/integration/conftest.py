"""What the tests of the gateways share: three parties per file, a job per test, and a look at the record afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway_kit import JOB_IDS, Parties


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    made = Parties(tmp_path_factory.mktemp("g"))  # short: paths of sockets have an end
    made.start()
    yield made
    made.stop()


@pytest.fixture
def job_id(parties: Parties) -> str:
    """A job that all parties have agreed to."""
    chosen = str(next(JOB_IDS))
    assert not parties.federate(chosen).HasField("failure")
    return chosen


@pytest.fixture
def history(parties: Parties) -> Iterator[None]:
    """After each test, the databases of all parties are checked."""
    yield
    parties.history_holds()
