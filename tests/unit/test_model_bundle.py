"""A stored model is loaded exactly as it was stored, or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federatedml.errors import ModelError
from federatedml.federation.party import Role
from federatedml.model_bundle import COMPONENT_NAME, MANIFEST, PIPELINE, ModelBundle, StoredModel, manifest_digest
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST
from tests.model_halves import bundle

HALF = bundle(HOST, "20260101120000000001")
FILES = HALF.files()
DIGEST = manifest_digest(FILES)


def load(files: dict[str, bytes], digest: str | None = None) -> ModelBundle:
    return ModelBundle.from_files(files, manifest_digest(files) if digest is None else digest)


def forged(change: Any, files: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """A model whose manifest an attacker wrote: consistent with its own digest."""
    manifest = json.loads(FILES[MANIFEST])
    change(manifest)
    return {**(FILES if files is None else files), MANIFEST: json.dumps(manifest).encode()}


def test_a_bundle_comes_back_as_it_was() -> None:
    assert load(FILES, DIGEST) == HALF
    assert list(load(FILES).components) == ["dataio_0", "hetero_lr_0"]
    assert load(FILES).files() == FILES
    assert HALF.party_model_id == "host#10000#arbiter-10001#guest-9999#host-10000#breast"
    assert HALF.parties(Role.GUEST) == ["9999"]


def test_the_files_are_readable_for_people_and_name_their_messages() -> None:
    assert set(FILES) == {"MLmodel", MANIFEST, PIPELINE} | {
        f"components/{name}/{buffer}.{end}"
        for name, model in HALF.components.items()
        for buffer in model.buffers
        for end in ("pb", "json")
    }
    manifest = json.loads(FILES[MANIFEST])
    assert manifest["files"]["components/dataio_0/DataIOParam.pb"]["message"] == "airfed.v1.DataIOParam"
    assert manifest["components"][0]["module"] == "DataIO"
    assert len(json.loads(FILES["components/dataio_0/DataIOParam.json"])["header"]) == 20
    assert b"host#10000#arbiter-10001#guest-9999#host-10000#breast" in FILES["MLmodel"]


@given(st.sampled_from(sorted(FILES)), st.integers(min_value=0), st.integers(0, 7))
def test_no_flipped_bit_is_ever_loaded(path: str, at: int, bit: int) -> None:
    body = bytearray(FILES[path] or b"\0")
    body[at % len(body)] ^= 1 << bit
    with pytest.raises(ModelError, match="FED-604"):
        load({**FILES, path: bytes(body)}, DIGEST)


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_missing_or_renamed_file_is_refused(path: str) -> None:
    rest = {name: body for name, body in FILES.items() if name != path}
    for files in (rest, {**rest, f"{path}~": FILES[path]}, {**rest, path.upper(): FILES[path]}):
        with pytest.raises(ModelError, match="FED-604"):
            load(files, DIGEST)


@pytest.mark.parametrize("extra", ["x", "components/x.pb", "../x", "components/dataio_0/DataIOMeta.pb/", "/etc/passwd"])
def test_an_extra_file_is_refused(extra: str) -> None:
    with pytest.raises(ModelError, match="FED-604"):
        load({**FILES, extra: b""}, DIGEST)


def test_two_files_that_change_places_are_refused() -> None:
    one, other = "components/dataio_0/DataIOMeta.pb", "components/dataio_0/DataIOParam.pb"
    with pytest.raises(ModelError, match="FED-604"):
        load({**FILES, one: FILES[other], other: FILES[one]}, DIGEST)


@given(st.text(max_size=80).filter(lambda name: not re.fullmatch(COMPONENT_NAME, name)))
def test_no_unsafe_name_is_taken_from_a_manifest(name: str) -> None:
    def rename_component(manifest: dict[str, Any]) -> None:
        manifest["components"][0]["name"] = name

    def rename_buffer(manifest: dict[str, Any]) -> None:
        manifest["components"][0]["buffers"][0] = name

    for change in (rename_component, rename_buffer):
        with pytest.raises(ModelError, match="FED-603"):
            load(forged(change))


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "%2e%2e", "a\0", "․․", "a" * 65, "", "a\n", " a"])
def test_no_unsafe_name_is_stored(name: str) -> None:
    half = replace(HALF, components={name: HALF.components["dataio_0"]})
    with pytest.raises(ModelError, match="FED-603"):
        half.files()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: m.update(format=2), "FED-603"),
        (lambda m: m.update(more=1), "FED-603"),
        (lambda m: m.update(generation="1"), "FED-603"),
        (lambda m: m.update(members=["guest_9999", "host_10000"]), "FED-603"),
        (lambda m: m.update(me="guest_9999"), "FED-603"),
        (lambda m: m.update(me="root_1"), "FED-603"),
        (lambda m: m.update(me=str(OTHER_HOST)), "FED-603"),
        (lambda m: m.update(model_key="other"), "FED-603"),
        (lambda m: m.update(model_version="../1"), "FED-603"),
        (lambda m: m["components"].append(m["components"][0]), "FED-603"),
        (lambda m: m["components"][0]["buffers"].append("DataIOMeta"), "FED-603"),
        (lambda m: m["components"][0]["buffers"].append("Other"), "FED-604"),
        (lambda m: m["components"].pop(), "FED-604"),
        (lambda m: m["files"].update({"../x": m["files"]["MLmodel"]}), "FED-604"),
        (lambda m: m["files"].pop("MLmodel"), "FED-604"),
        (lambda m: m["files"]["MLmodel"].update(size=1), "FED-604"),
        (lambda m: m["files"]["MLmodel"].update(sha256="0" * 64), "FED-604"),
        (lambda m: m["files"]["MLmodel"].update(sha256="A" * 64), "FED-603"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(change: Any, code: str) -> None:
    with pytest.raises(ModelError, match=code):
        load(forged(change))


@given(st.binary(max_size=300))
def test_a_manifest_of_any_bytes_is_refused(body: bytes) -> None:
    with pytest.raises(ModelError, match="FED-603"):
        load({**FILES, MANIFEST: body})


def test_a_huge_manifest_is_not_parsed() -> None:
    with pytest.raises(ModelError, match="at most 1048576"):
        load({**FILES, MANIFEST: FILES[MANIFEST] + b" " * (1 << 20)})


def test_a_model_without_a_manifest_has_no_identity() -> None:
    with pytest.raises(ModelError, match="no manifest"):
        manifest_digest({})
    assert hashlib.sha256(FILES[MANIFEST]).hexdigest() == DIGEST


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (StoredModel("HeteroFTL", "model", {"Meta": b""}), "FED-606.*x: module HeteroFTL is not installed"),
        (StoredModel("DataIO", "model", {"Other": b""}), "FED-605.*DataIO has no buffer 'Other'.*DataIOMeta"),
        (StoredModel("DataIO", "model", {"DataIOMeta": b"\xff"}), "FED-605.*is not a message airfed.v1.DataIOMeta"),
    ],
)
def test_what_is_not_the_components_model_is_not_stored(model: StoredModel, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(HALF, components={"x": model}).files()


def test_the_same_half_of_another_job_has_another_identity() -> None:
    others = [
        replace(HALF, model_version="2"),
        replace(HALF, generation=2),
        replace(HALF, initiator="10000"),
        replace(HALF, members=(ARBITER, GUEST, HOST, OTHER_HOST)),
        replace(HALF, components=dict(reversed(HALF.components.items()))),
    ]
    assert len({manifest_digest(half.files()) for half in others} | {DIGEST}) == len(others) + 1


@pytest.mark.parametrize("name", ["0", "lr-0", "0_lr-x"])
def test_every_name_that_the_dsl_allows_can_be_stored(name: str) -> None:
    renamed = replace(HALF, components={name: HALF.components["dataio_0"]})
    assert load(renamed.files()) == renamed
