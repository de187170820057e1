"""One serving process: REST for callers, gRPC for guests of this host, and the loader's thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

import uvicorn

from federated_operators.registry.cache import ModelCache
from federated_operators.registry.models import ModelRegistry
from federated_operators.registry.rest import MlflowRest
from federatedml.component import registry
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.federation.home import PartyHome
from serving import app, door
from serving.features import FeatureTable
from serving.loader import Loader
from serving.peers import Peers
from serving.scoring import Scoring
from serving.shelf import Shelf

LOG = logging.getLogger(__name__)
STOP_SECONDS = 2
KEEP_ALIVE_SECONDS = 30


class _Http(uvicorn.Server):
    """Uvicorn without its own signal handling: this process has two servers to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(home: PartyHome, spend: door.Spend) -> None:
    """Serve until SIGTERM or SIGINT; ``spend`` counts what guests are told."""
    shelf, peers = Shelf(), Peers(home)
    features = _features(home)
    cache = ModelCache(home.serving_cache)
    models = ModelRegistry(MlflowRest(home.mlflow_url, tries=1, read_timeout=5.0), cache)
    loader = Loader(home.config.party_id, models, cache, shelf, registry(), features)
    http = _http(home, shelf, peers, features)
    grpc_server = await door.start(home, door.InferenceDoor(shelf, features, home.pinned(), spend))
    stop = threading.Event()
    thread = threading.Thread(target=loader.run, args=(stop,), name="loader", daemon=True)
    thread.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, setattr, http, "should_exit", True)
    try:
        await http.serve()
    finally:
        stop.set()
        await grpc_server.stop(STOP_SECONDS)
        await peers.close()
        thread.join(STOP_SECONDS)


def _features(home: PartyHome) -> FeatureTable:
    named = home.config.features
    return FeatureTable(Catalogue(home.data), TableName(named.namespace, named.name) if named else None)


def _http(home: PartyHome, shelf: Shelf, peers: Peers, features: FeatureTable) -> uvicorn.Server:
    application = app.build(shelf, Scoring(shelf, peers), peers, features)
    config = uvicorn.Config(
        application,
        host=home.config.host,
        port=home.config.ports.serving_http,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ws="none",
    )
    return _Http(config)
