"""``python -m airfed.serving``: scores for the party of ``AIRFED_HOME``, put together from the packages."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from federated_operators.budgets import OnlineRows
from federatedml.errors import FedError, PolicyError
from federatedml.federation.home import PartyHome
from serving.server import serve


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        if "AIRFED_HOME" not in os.environ:
            raise PolicyError("FED-514", "AIRFED_HOME is not set", "it names the party's home")
        home = PartyHome(Path(os.environ["AIRFED_HOME"]))
        asyncio.run(serve(home, OnlineRows(home).spend))
    except FedError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
