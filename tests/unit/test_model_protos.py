"""Model messages are wire-compatible with FATE's: field numbers and types."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from airfed_proto.v1 import model_pb2

OURS = 100  # fields that FATE lacks start here
# Message -> field -> (number, type), FATE v1.0; "*" is repeated, "map" has string keys.
FATE = {
    "ImputerMeta": {"is_imputer": (1, "bool"), "strategy": (2, "string"), "missing_value": (3, "string*")},
    "OutlierMeta": {"is_outlier": (1, "bool"), "strategy": (2, "string"), "outlier_value": (3, "string*")},
    "DataIOMeta": {
        "input_format": (1, "string"),
        "delimitor": (2, "string"),
        "data_type": (3, "string"),
        "tag_with_value": (4, "bool"),
        "tag_value_delimitor": (5, "string"),
        "with_label": (6, "bool"),
        "label_idx": (7, "int32"),
        "label_type": (8, "string"),
        "output_format": (9, "string"),
        "imputer_meta": (10, "ImputerMeta"),
        "outlier_meta": (11, "OutlierMeta"),
        "need_run": (12, "bool"),
        "exclusive_data_type": (13, "map string"),  # from v1.11
    },
    "DataTransformMeta": {  # v1.11; its messages for imputers and outliers have the fields of DataIO's
        "input_format": (1, "string"),
        "delimitor": (2, "string"),
        "data_type": (3, "string"),
        "tag_with_value": (4, "bool"),
        "tag_value_delimitor": (5, "string"),
        "with_label": (6, "bool"),
        "label_name": (7, "string"),
        "label_type": (8, "string"),
        "output_format": (9, "string"),
        "imputer_meta": (10, "ImputerMeta"),
        "outlier_meta": (11, "OutlierMeta"),
        "need_run": (12, "bool"),
        "exclusive_data_type": (13, "map string"),
        "with_match_id": (14, "bool"),
    },
    "DataTransformParam": {
        "header": (1, "string*"),
        "sid_name": (2, "string"),
        "label_name": (3, "string"),
        "imputer_param": (4, "ImputerParam"),
        "outlier_param": (5, "OutlierParam"),
        "anonymous_header": (6, "string*"),
    },
    "ImputerParam": {"missing_replace_value": (1, "map string"), "missing_value_ratio": (2, "map double")},
    "OutlierParam": {"outlier_replace_value": (1, "map string"), "outlier_value_ratio": (2, "map double")},
    "DataIOParam": {
        "header": (1, "string*"),
        "sid_name": (2, "string"),
        "label_name": (3, "string"),
        "imputer_param": (4, "ImputerParam"),
        "outlier_param": (5, "OutlierParam"),
    },
    "LRModelMeta": {
        "penalty": (1, "string"),
        "eps": (2, "double"),
        "alpha": (3, "double"),
        "optimizer": (4, "string"),
        "party_weight": (5, "double"),
        "batch_size": (6, "int64"),
        "learning_rate": (7, "double"),
        "max_iter": (8, "int64"),
        "converge_func": (9, "string"),
        "re_encrypt_batches": (10, "int64"),
        "need_run": (11, "bool"),
        "need_one_vs_rest": (12, "bool"),
    },
    "LRModelParam": {
        "iters": (1, "int32"),
        "loss_history": (2, "double*"),
        "is_converged": (3, "bool"),
        "weight": (4, "map double"),
        "intercept": (5, "double"),
        "header": (6, "string*"),
        "need_one_vs_rest": (7, "bool"),
        "one_vs_rest_classes": (8, "string*"),
    },
    "Pipeline": {
        "inference_dsl": (1, "bytes"),
        "train_dsl": (2, "bytes"),
        "train_runtime_conf": (3, "bytes"),
        "fate_version": (4, "string"),  # from v1.11
        "model_id": (5, "string"),
        "model_version": (6, "string"),
    },
}
SCALARS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
}


def kind(field: FieldDescriptor) -> str:
    """The type as the table writes it."""
    if field.message_type is None:
        return SCALARS[field.type] + "*" * field.is_repeated
    if field.message_type.GetOptions().map_entry:
        return f"map {kind(field.message_type.fields_by_name['value'])}"
    return str(field.message_type.name)


def fields(descriptor: Descriptor) -> Iterator[tuple[str, tuple[int, str]]]:
    return ((field.name, (field.number, kind(field))) for field in descriptor.fields)


@pytest.mark.parametrize("name", FATE)
def test_fields_have_fates_numbers_and_types(name: str) -> None:
    found = dict(fields(model_pb2.DESCRIPTOR.message_types_by_name[name]))
    assert {field: entry for field, entry in found.items() if entry[0] < OURS} == FATE[name]


def test_messages_of_models_are_in_the_table() -> None:
    assert set(model_pb2.DESCRIPTOR.message_types_by_name) == set(FATE)


def test_bytes_as_fate_writes_them_are_read() -> None:
    written = bytes.fromhex("0a02783012026964" + "1a0179" + "22" + "0a" + "0a08" + "0a027830" + "1202" + b"-1".hex())
    found = model_pb2.DataIOParam.FromString(written)
    assert (list(found.header), found.sid_name, found.label_name) == (["x0"], "id", "y")
    assert dict(found.imputer_param.missing_replace_value) == {"x0": "-1"}
    assert found.SerializeToString() == written
