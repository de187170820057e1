"""Parameters of Intersection: FATE's are read, parties agree, a plan tells of the chosen method only."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_params import IntersectParams
from federatedml.errors import DslError
from tests.members import GUEST, HOST, OTHER_HOST


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"intersect_method": "iterative"}, "'auto', 'ecdh'"),
        ({"sync_intersect_ids": False}, "align"),
        ({"join_method": "left_join"}, "'inner_join'"),
        ({"allow_info_share": True}, "False"),
        ({"is_send_intersect_ids": False}, "align"),
        ({"is_get_intersect_ids": False}, "align"),
        ({"min_intersection": 0}, "greater than or equal to 1"),
        ({"run_preprocess": True}, "False"),
        ({"run_caches": True}, "Extra inputs"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(given: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        IntersectParams.model_validate(given)
    assert next(iter(given)) in str(caught.value)


def test_fates_parameters_are_accepted() -> None:
    v1_0 = (
        '{"intersect_method": "auto", "random_bit": 128, "join_role": "host", "with_encode": true,'
        ' "encode_params": {"salt": "s", "encode_method": "md5", "base64": true}, "only_output_key": false}'
    )
    v1_11 = (
        '{"intersect_method": "dh", "sync_intersect_ids": true, "join_method": "inner_join", "run_preprocess": false,'
        ' "allow_info_share": false, "cardinality_only": false, "sync_cardinality": true, "cardinality_method": "rsa",'
        ' "rsa_params": {"hash_method": "sha256", "final_hash_method": "sha256", "split_calculation": true,'
        ' "random_base_fraction": 0.5, "key_length": 2048, "random_bit": 128, "salt": ""},'
        ' "raw_params": {"use_hash": true, "hash_method": "sha224", "salt": "12345", "join_role": "guest"},'
        ' "dh_params": {"salt": "1", "key_length": 1024}, "ecdh_params": {"salt": "1", "curve": "curve25519"},'
        ' "repeated_id_process": false, "with_sample_id": false}'
    )
    for conf in (v1_0, v1_11):
        p = IntersectParams.model_validate_json(conf)
        assert IntersectParams.model_validate_json(p.model_dump_json()) == p
    assert p.raw_hash == ("sha224", "12345")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, []),
        ({"random_bit": 256}, []),
        ({"intersect_method": "dh"}, ["intersect_method 'dh' runs as 'ecdh'"]),
        (
            {"intersect_method": "rsa", "rsa_params": {"key_length": 1024, "split_calculation": True}},
            [
                "random_bit 128 is taken as a minimum: ids are blinded by 1024 random bits",
                "rsa_params.key_length 1024 is short: 2048 is the least to rely on",
                "rsa_params.split_calculation has no effect",
            ],
        ),
        (
            {"intersect_method": "raw", "raw_params": {"join_role": "host"}, "with_encode": True},
            ["intersect_method 'raw' lets the host find any id by trying it", "with_encode has no effect"],
        ),
        ({"ecdh_params": {"salt": "s"}, "sync_cardinality": True}, ["sync_cardinality", "ecdh_params.salt"]),
    ],
)
def test_a_plan_notes_what_runs_otherwise_and_what_has_no_effect(given: dict[str, Any], told: list[str]) -> None:
    found = list(INTERSECTION.notes(IntersectParams.model_validate(given)))
    assert len(found) == len(told)
    assert all(any(note.startswith(text) for note in found) for text in told)


def test_auto_is_ecdh_with_several_hosts_and_open_until_the_sizes_are_known_with_one() -> None:
    p = IntersectParams()
    two, three = dict.fromkeys((GUEST, HOST), p), dict.fromkeys((GUEST, HOST, OTHER_HOST), p)
    assert {one.intersect_method for one in INTERSECTION.settle(two).values()} == {"auto"}
    assert {one.intersect_method for one in INTERSECTION.settle(three).values()} == {"ecdh"}


@pytest.mark.parametrize(
    "other",
    [
        {"intersect_method": "rsa"},
        {"cardinality_only": True},
        {"intersect_method": "raw", "join_role": "host"},
        {"intersect_method": "raw", "encode_params": {"salt": "s"}},
        {"intersect_method": "rsa", "rsa_params": {"key_length": 1024}},
    ],
)
def test_parties_must_agree_on_how_they_intersect(other: dict[str, Any]) -> None:
    method = {"intersect_method": other.get("intersect_method", "auto")}
    common = IntersectParams.model_validate(method if len(other) > 1 else {})
    with pytest.raises(DslError, match=r"FED-746.*differ between parties"):
        INTERSECTION.settle({GUEST: common, HOST: IntersectParams.model_validate(other)})
    INTERSECTION.settle({GUEST: common, HOST: common.model_copy(update={"min_intersection": 99, "random_bit": 256})})


@pytest.mark.parametrize(
    ("p", "told"),
    [
        ({"intersect_method": "ecdh"}, "ecdh_"),
        ({"intersect_method": "kkrt"}, "kkrt_"),
        ({"intersect_method": "dh"}, "ecdh_"),
        ({"intersect_method": "rsa"}, "rsa_"),
        ({"intersect_method": "raw"}, "raw_host"),
        ({"intersect_method": "raw", "join_role": "host"}, "raw_guest"),
    ],
)
def test_only_the_messages_of_the_chosen_method_are_disclosed(p: dict[str, Any], told: str) -> None:
    running = INTERSECTION.variant(INTERSECTION, IntersectParams.model_validate(p))
    names = set(running.topic_table())
    assert names >= {"guest_size", "host_size", "common"}
    methods = {name.split("_")[0] for name in names} - {"guest", "host", "common"}
    assert methods == {told.split("_")[0]}
    assert any(name.startswith(told) for name in names)
    assert set(INTERSECTION.topic_table()) > names
