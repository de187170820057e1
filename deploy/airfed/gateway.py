"""``python -m airfed.gateway``: the gateway of the party whose home is AIRFED_HOME, put together from the packages."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from functools import partial
from pathlib import Path

from dags_generator.acceptor import DslAcceptor
from federated_operators.gateway.server import serve
from federated_operators.tracking.close import close_runs
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each look at the party's own Airflow
    try:
        home = PartyHome(Path(os.environ["AIRFED_HOME"]))
        asyncio.run(serve(home, DslAcceptor(home), on_verdict=partial(close_runs, home)))
    except KeyError:
        sys.exit("AIRFED_HOME is not set: it names the party's home")
    except FedError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
