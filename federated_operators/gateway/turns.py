"""What the gateway does again and again: a turn that fails is told in the log, and the next one comes all the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from federatedml.errors import FedError


async def take_turns(turn: Callable[[], Awaitable[object]], seconds: float, failed: str, log: logging.Logger) -> None:
    """Take a turn every so many seconds, for ever.

    Args:
        failed: what is not done when a turn fails, in words.
    """
    while True:
        await asyncio.sleep(seconds)
        try:
            await turn()
        except FedError as error:
            log.info("%s: %s", failed, error)
        except Exception:
            log.exception(failed)
