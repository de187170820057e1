"""Models of trees and of what one party does alone are wire-compatible with FATE's: field numbers and types."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import FileDescriptor

from airfed_proto.v1 import features_pb2, trees_pb2
from tests.unit.test_binning_protos import FATE as SEVERAL_PARTIES
from tests.unit.test_binning_protos import KINDS, OURS

# Message -> fields in the order of their numbers, as in ``test_binning_protos``. FATE 1.0 where nothing is said.
TREES = {
    "CriterionMeta": "1 criterion_method string, 2 criterion_param double*",
    "DecisionTreeModelMeta": "1 criterion_meta message, 2 max_depth int32, 3 min_sample_split int32, "
    "4 min_impurity_split double, 5 min_leaf_node int32, 6 use_missing bool, 7 zero_as_missing bool",  # 6, 7: 1.1
    "QuantileMeta": "1 quantile_method string, 2 bin_num int32, 3 bin_gap int32, 4 bin_sample_num int32",
    "ObjectiveMeta": "1 objective string, 2 param double*",
    "BoostingTreeModelMeta": "1 tree_meta message, 2 learning_rate double, 3 num_trees int32, 4 quantile_meta message, "
    "5 objective_meta message, 6 task_type string, 7 tree_dim int32, 8 n_iter_no_change bool, 9 tol double, "
    "10 num_classes int32, 11 classes_ string*, 12 need_run bool",
    "NodeParam": "1 id int32, 2 sitename string, 3 fid int32, 4 bid double, 5 weight double, 6 is_leaf bool, "
    "7 left_nodeid int32, 8 right_nodeid int32, 9 missing_dir int32, 10 mo_weight double*",  # 9, 10: 1.1 to 1.11
    "DecisionTreeModelParam": "1 tree_ message*, 2 split_maskdict message*, 3 missing_dir_maskdict message*, "
    "4 leaf_count message*",  # 3, 4: 1.1 to 1.11
    "FeatureImportanceInfo": "1 sitename string, 2 fid int32, 3 importance double, 4 fullname string, "
    "5 importance2 double, 6 main string",  # 4 to 6: 1.11
    "BoostingTreeModelParam": "1 tree_num int32, 2 trees_ message*, 3 init_score double*, 4 losses double*, "
    "5 feature_importances message*, 6 feature_name_fid_mapping message*, 10 best_iteration int32",  # 10: 1.11
}
LOCAL = {
    "ScaleMeta": "1 method string, 2 mode string, 3 area string, 4 scale_column string*, 5 feat_upper string*, "
    "6 feat_lower string*, 7 with_mean bool, 8 with_std bool",
    "ColumnScaleParam": "4 column_upper double, 5 column_lower double, 6 mean double, 7 std double",
    "ScaleParam": "1 col_scale_param message*, 2 header string*, 3 need_run bool",
    "OneHotMeta": "1 cols string*, 2 need_run bool",
    "ColsMap": "1 values string*, 2 encoded_variables string*, 3 data_type string",
    "OneHotParam": "1 col_map message*",
    "StatisticMeta": "1 statistics string*, 2 static_columns string*, 3 quantile_error double, 4 need_run bool",
    "StatisticOneFeatureValues": "1 values message*",
    "StatisticParam": "1 self_values message*, 3 model_name string",  # 2: values of hosts, which nobody is told
}
MAPS = {
    ("DecisionTreeModelParam", "split_maskdict"): ("int32", "double"),
    ("DecisionTreeModelParam", "missing_dir_maskdict"): ("int32", "int32"),
    ("DecisionTreeModelParam", "leaf_count"): ("int32", "int32"),
    ("BoostingTreeModelParam", "feature_name_fid_mapping"): ("string", "int32"),
    ("ScaleParam", "col_scale_param"): ("string", "message"),
    ("OneHotParam", "col_map"): ("string", "message"),
    ("StatisticParam", "self_values"): ("string", "message"),
}
FILES: list[tuple[FileDescriptor, str, str]] = [
    *((trees_pb2.DESCRIPTOR, name, fields) for name, fields in TREES.items()),
    *((features_pb2.DESCRIPTOR, name, fields) for name, fields in LOCAL.items()),
]


@pytest.mark.parametrize(("file", "name", "expected"), FILES, ids=[name for _, name, _ in FILES])
def test_fields_have_fates_numbers_and_types(file: FileDescriptor, name: str, expected: str) -> None:
    fields = file.message_types_by_name[name].fields
    found = [f"{f.number} {f.name} {KINDS[f.type]}{'*' * f.is_repeated}" for f in fields if f.number < OURS]
    assert ", ".join(found) == expected


@pytest.mark.parametrize(("message", "field"), MAPS)
def test_maps_have_fates_keys_and_values(message: str, field: str) -> None:
    file = trees_pb2.DESCRIPTOR if message in TREES else features_pb2.DESCRIPTOR
    entry = file.message_types_by_name[message].fields_by_name[field].message_type
    assert entry.GetOptions().map_entry
    assert tuple(KINDS[entry.fields_by_name[part].type] for part in ("key", "value")) == MAPS[message, field]


def test_messages_of_models_are_in_the_tables() -> None:
    assert set(trees_pb2.DESCRIPTOR.message_types_by_name) == set(TREES)
    assert set(features_pb2.DESCRIPTOR.message_types_by_name) == {*LOCAL, *SEVERAL_PARTIES}


def test_bytes_as_fate_writes_them_are_read() -> None:
    """A tree whose root the host splits at -0.5 (bin 0), with leaves of weight 1 and -1."""
    root = bytes.fromhex("1204") + b"host" + bytes.fromhex("1802" + "3801" + "4002")
    leaves = [
        bytes.fromhex("0801" + "29000000000000f03f" + "3001"),
        bytes.fromhex("0802" + "29000000000000f0bf" + "3001"),
    ]
    tree = b"".join(b"\x0a" + bytes([len(node)]) + node for node in (root, *leaves))
    tree += bytes.fromhex("120b" + "0800" + "11000000000000e0bf")
    found = trees_pb2.BoostingTreeModelParam.FromString(b"\x08\x01\x12" + bytes([len(tree)]) + tree)
    (told,) = found.trees_
    assert [(node.sitename, node.left_nodeid, node.right_nodeid, node.weight) for node in told.tree_] == [
        ("host", 1, 2, 0.0),
        ("", 0, 0, 1.0),
        ("", 0, 0, -1.0),
    ]
    assert dict(told.split_maskdict) == {0: -0.5}
