"""``python -m airfed.gateway``: the gateway of the party whose home is AIRFED_HOME, with the acceptor it needs."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from federated_operators.gateway.server import serve

from dags_generator.acceptor import DslAcceptor
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        home = PartyHome(Path(os.environ["AIRFED_HOME"]))
        asyncio.run(serve(home, DslAcceptor(home)))
    except KeyError:
        sys.exit("AIRFED_HOME is not set: it names the party's home")
    except FedError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
