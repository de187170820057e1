from pathlib import Path

from airfed.job_watch import known
from federatedml.federation.home import PartyHome


def test_a_gateway_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    assert known(PartyHome(tmp_path), "20260728120000000001") is None
