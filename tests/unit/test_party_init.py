"""A new home: private, with an identity of its own, and peers only by their pinned CA."""

import json
import os
import stat
from pathlib import Path

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from airfed.cli import app
from airfed.party import ca_of, init_party, party_config, trust
from federated_operators.gateway.policy import load_policy
from federatedml.errors import FedError, PolicyError
from federatedml.federation.home import PartyHome, Peer
from federatedml.federation.identity import verify_leaf


def make(tmp_path: Path, party: str = "9999", name: str = "guest", initiators: tuple[str, ...] = ()) -> PartyHome:
    return init_party(tmp_path / name, party_config(party, name, 25900), initiators)


def test_everything_in_a_new_home_is_private(tmp_path: Path) -> None:
    home = make(tmp_path)
    for path in (home.root, *home.root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_certificate_proves_the_party(tmp_path: Path) -> None:
    home = make(tmp_path)
    assert verify_leaf(home.identity.certificate, home.pinned()) == "9999"


def test_passwords_differ_between_users_and_parties(tmp_path: Path) -> None:
    stored = [json.loads(make(tmp_path, *who).passwords.read_text()) for who in (("9999", "guest"), ("10000", "host"))]
    assert [set(each) for each in stored] == [{"admin", "airfed"}] * 2
    assert len({password for each in stored for password in each.values()}) == 4


def test_peer_is_believed_after_trust_and_only_with_its_own_ca(tmp_path: Path) -> None:
    guest, host = make(tmp_path), make(tmp_path, "10000", "host")
    with pytest.raises(PolicyError, match="not a peer"):
        verify_leaf(host.identity.certificate, guest.pinned())
    trust(guest, "10000", ca_of(host), Peer(gateway="127.0.0.1:1"))
    assert verify_leaf(host.identity.certificate, guest.pinned()) == "10000"
    assert PartyHome(guest.root).config.peers["10000"].gateway == "127.0.0.1:1"
    trust(guest, "10000", ca_of(guest), Peer(gateway="127.0.0.1:1"))
    with pytest.raises(PolicyError, match="not issued"):
        verify_leaf(host.identity.certificate, guest.pinned())


@pytest.mark.parametrize("ca", [b"", b"nonsense", b"\xff\xfe"])
def test_what_is_no_ca_is_not_pinned(tmp_path: Path, ca: bytes) -> None:
    guest = make(tmp_path)
    with pytest.raises(PolicyError, match="FED-507"):
        trust(guest, "10000", ca, Peer(gateway="127.0.0.1:1"))
    assert set(guest.pinned()) == {"9999"}


def test_words_around_a_ca_may_be_in_any_language(tmp_path: Path) -> None:
    guest, host = make(tmp_path), make(tmp_path, "10000", "host")
    trust(guest, "10000", b"\xef\xbb\xbfsubject=Z\xc3\xbcrich\r\n" + ca_of(host), Peer(gateway="127.0.0.1:1"))
    assert verify_leaf(host.identity.certificate, guest.pinned()) == "10000"


def test_certificate_of_a_party_is_no_ca(tmp_path: Path) -> None:
    guest, host = make(tmp_path), make(tmp_path, "10000", "host")
    with pytest.raises(PolicyError, match="not that of a CA"):
        trust(guest, "10000", host.identity.certificate, Peer(gateway="127.0.0.1:1"))


@pytest.mark.parametrize("party", ["9999", "../../etc", "", "a/b"])
def test_peer_id_is_checked_before_it_becomes_a_file_name(tmp_path: Path, party: str) -> None:
    guest = make(tmp_path)
    with pytest.raises(PolicyError, match="FED-501"):
        trust(guest, party, ca_of(guest), Peer(gateway="127.0.0.1:1"))


def test_home_is_not_made_twice(tmp_path: Path) -> None:
    guest = make(tmp_path)
    before = ca_of(guest)
    with pytest.raises(PolicyError, match="already"):
        make(tmp_path)
    assert ca_of(guest) == before


@pytest.mark.parametrize("name", ["branch%2Ffix", "why?", "a$HOME"])
def test_a_path_that_databases_read_otherwise_is_no_home(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyError, match="FED-519"):
        init_party(tmp_path / name, party_config("9999", "guest", 25900))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["my home", "Z\u00fcrich", "a#b:c@d"])
def test_a_home_may_have_spaces_and_letters_of_any_language(tmp_path: Path, name: str) -> None:
    as_given = os.fsdecode(name.encode())  # in a locale that has no such letter, too
    home = init_party(tmp_path / as_given, party_config("9999", "guest", 25900))
    assert make_url(f"sqlite:///{home.airflow / 'airflow.db'}").database == str(home.airflow / "airflow.db")


def test_policy_names_who_may_propose(tmp_path: Path) -> None:
    assert list(load_policy(make(tmp_path, initiators=("10000",)).policy).initiators) == ["10000"]
    assert list(load_policy(make(tmp_path, "10000", "host").policy).initiators) == []


@pytest.mark.parametrize(("name", "port"), [("Guest", 25900), ("a b", 25900), ("guest", 0), ("guest", 65535)])
def test_wrong_names_and_ports_are_refused_by_key(name: str, port: int) -> None:
    with pytest.raises(FedError, match=r"FED-511.*(name|airflow|worker_log)"):
        party_config("9999", name, port)


def test_a_folder_in_which_no_party_could_start_does_not_become_a_home(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    done = CliRunner().invoke(app, ["party", "init", str(folder), "--party-id", "9999", "--name", "guest"])
    assert done.exit_code == 1
    assert "FED-512" in done.stderr
    assert not folder.exists()
