"""``python -m serving``: serve the party of ``AIRFED_HOME``."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from federatedml.errors import FedError, PolicyError
from federatedml.federation.home import PartyHome
from serving.server import serve

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        if "AIRFED_HOME" not in os.environ:
            raise PolicyError("FED-514", "AIRFED_HOME is not set", "it names the party's home")
        asyncio.run(serve(PartyHome(Path(os.environ["AIRFED_HOME"]))))
    except FedError as error:
        sys.exit(str(error))
