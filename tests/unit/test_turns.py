"""A turn that fails ends nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest

from federated_operators.gateway.turns import take_turns
from federatedml.errors import PeerError


def test_turns_go_on_after_errors_of_any_kind(caplog: pytest.LogCaptureFixture) -> None:
    errors: list[BaseException] = [PeerError("FED-420", "away"), ValueError("not JSON"), asyncio.CancelledError()]

    async def turn() -> None:
        raise errors.pop(0)

    with pytest.raises(asyncio.CancelledError), caplog.at_level(logging.INFO):
        asyncio.run(take_turns(turn, 0.0, "it was not done", logging.getLogger("turns")))
    assert not errors
    assert [record.levelname for record in caplog.records if record.name == "turns"] == ["INFO", "ERROR"]
