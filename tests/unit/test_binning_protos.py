"""Models of binning and selection are wire-compatible with FATE's: field numbers and types."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import FieldDescriptor

from airfed_proto.v1 import features_pb2 as pb

OURS = 100  # fields that FATE lacks start here
KINDS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_MESSAGE: "message",
}
# Message -> fields in the order of their numbers, "NUMBER NAME TYPE"; "*" is repeated, a map is a repeated message.
FATE = {
    "TransformMeta": "1 transform_cols int64*, 2 transform_type string",
    "FeatureBinningMeta": "1 need_run bool, 2 compress_thres int64, 3 head_size int64, 4 error double, "
    "5 bin_num int64, 6 cols string*, 7 adjustment_factor double, 8 local_only bool, 9 transform_param message, "
    "10 method string, 11 skip_static bool",
    "IVParam": "1 woe_array double*, 2 iv_array double*, 3 event_count_array int64*, 4 non_event_count_array int64*, "
    "5 event_rate_array double*, 6 non_event_rate_array double*, 7 split_points double*, 8 iv double, "
    "9 is_woe_monotonic bool, 10 bin_nums int32, 11 bin_anonymous string",
    "FeatureBinningResult": "1 binning_result message*, 2 role string, 3 party_id string",
    "FeatureBinningParam": "1 binning_result message, 2 host_results message*, 3 header string*",
    "UniqueValueMeta": "1 eps double",
    "IVValueSelectionMeta": "1 value_threshold double",
    "IVPercentileSelectionMeta": "1 percentile_threshold double",
    "VarianceOfCoeSelectionMeta": "1 value_threshold double",
    "OutlierColsSelectionMeta": "1 percentile double, 2 upper_threshold double",
    "FeatureSelectionMeta": "1 filter_methods string*, 2 local_only bool, 3 cols string*, 4 unique_meta message, "
    "5 iv_value_meta message, 6 iv_percentile_meta message, 7 variance_coe_meta message, 8 outlier_meta message, "
    "9 need_run bool, 13 filter_metas message*",
    "FilterMeta": "1 metrics string, 2 filter_type string, 3 take_high bool, 4 threshold double, "
    "5 select_federated bool, 6 filter_out_names string*",
    "FeatureValue": "1 feature_values message*",
    "LeftCols": "1 original_cols string*, 2 left_cols message*",
    "FeatureSelectionFilterParam": "1 feature_values message*, 2 host_feature_values message*, 3 left_cols message, "
    "4 host_left_cols message*, 5 filter_name string",
    "FeatureSelectionParam": "1 results message*, 2 final_left_cols message, 5 header string*",
}


@pytest.mark.parametrize("name", FATE)
def test_fields_have_fates_numbers_and_types(name: str) -> None:
    fields = pb.DESCRIPTOR.message_types_by_name[name].fields
    found = [f"{f.number} {f.name} {KINDS[f.type]}{'*' * f.is_repeated}" for f in fields if f.number < OURS]
    assert ", ".join(found) == FATE[name]


def test_bytes_as_fate_writes_them_are_read() -> None:
    """A column x0 with the split points 1.5 and 2, IV 0.25, two bins."""
    points = "3a10" + "000000000000f83f" + "0000000000000040"
    column = bytes.fromhex(points + "41" + "000000000000d03f" + "5002")
    entry = b"\x0a\x02x0" + b"\x12" + bytes([len(column)]) + column
    result = b"\x0a" + bytes([len(entry)]) + entry
    found = pb.FeatureBinningParam.FromString(b"\x0a" + bytes([len(result)]) + result)
    told = found.binning_result.binning_result["x0"]
    assert (list(told.split_points), told.iv, told.bin_nums) == ([1.5, 2.0], 0.25, 2)
