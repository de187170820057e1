"""The demo's three parties: homes, pinned peers, tables, processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from airfed import control, databases, proc
from airfed.airflow_config import write_private
from airfed.demo_data import DemoData
from airfed.party import ca_of, init_party, party_config, ports_from, rewrite, trust
from airfed.state import Supervision
from federated_operators.gateway.policy import default_policy
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.errors import FedError
from federatedml.federation.home import Features, PartyHome, Peer

PARTIES = {"guest": "9999", "host": "10000", "arbiter": "10001"}
NAMESPACE = "breast"
PORT_STEP = 10
Look = Callable[[PartyHome, Supervision], None]


def make_homes(root: Path, base_port: int) -> dict[str, PartyHome]:
    """Three homes below ``root``, with these ports and each other's CAs; what an earlier demo left is kept."""
    homes = {name: _home(root / name, name, base_port + PORT_STEP * at) for at, name in enumerate(PARTIES)}
    for home in homes.values():
        for peer in homes.values():
            if peer is not home:
                trust(home, peer.config.party_id, ca_of(peer), _doors(peer))
    return homes


def put_tables(homes: Mapping[str, PartyHome], data: DemoData) -> None:
    """Each half as a Parquet table in its own party's data folder."""
    for name, table in (("guest", data.guest), ("host", data.host)):
        Catalogue(homes[name].data).write(TableName(NAMESPACE, name), table)


@contextmanager
def running(homes: Mapping[str, PartyHome], look: Look) -> Iterator[None]:
    """All parties, ready; at the end nothing of them runs.

    Raises:
        FedError: a party does not start, or does not stop.
    """
    databases.prepare_all()
    for home in homes.values():
        control.stop(home)  # what a killed demo left
    with ExitStack() as stack:
        for home in homes.values():
            stack.callback(_gone, home)
        parties = [control.spawn(home, with_parent=True) for home in homes.values()]
        for party in parties:
            stack.callback(party.child.wait)
        for party in parties:
            stack.callback(party.child.terminate)
        control.wait_ready(parties, look)
        yield


def _home(root: Path, name: str, base_port: int) -> PartyHome:
    others = [party for other, party in PARTIES.items() if other != name]
    serves = name != "arbiter"
    config = party_config(PARTIES[name], name, base_port, serves)
    if name == "host":
        config = config.model_copy(update={"features": Features(namespace=NAMESPACE, name=name)})
    if not (root / "party.yaml").exists():
        home = init_party(root, config, others)
        write_private(home.policy, default_policy(PARTIES[name], others, public_data=True))
        return home
    home = PartyHome(root)
    rewrite(home, home.config.model_copy(update={"ports": ports_from(base_port)}))
    return home


def _doors(peer: PartyHome) -> Peer:
    config = peer.config
    serving = f"{config.host}:{config.ports.serving_grpc}" if config.serving else None
    return Peer(gateway=f"{config.host}:{config.ports.gateway}", serving=serving, name=config.name)


def _gone(home: PartyHome) -> None:
    control.stop(home)
    left = proc.of_home(home.root)
    mine = [process for process in left if process.session != os.getsid(0)]
    if mine:
        raise FedError("FED-916", f"processes of {home.root} still run: {', '.join(str(p.pid) for p in mine)}")
