from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScaleMeta(_message.Message):
    __slots__ = ("method", "mode", "area", "scale_column", "feat_upper", "feat_lower", "with_mean", "with_std")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    AREA_FIELD_NUMBER: _ClassVar[int]
    SCALE_COLUMN_FIELD_NUMBER: _ClassVar[int]
    FEAT_UPPER_FIELD_NUMBER: _ClassVar[int]
    FEAT_LOWER_FIELD_NUMBER: _ClassVar[int]
    WITH_MEAN_FIELD_NUMBER: _ClassVar[int]
    WITH_STD_FIELD_NUMBER: _ClassVar[int]
    method: str
    mode: str
    area: str
    scale_column: _containers.RepeatedScalarFieldContainer[str]
    feat_upper: _containers.RepeatedScalarFieldContainer[str]
    feat_lower: _containers.RepeatedScalarFieldContainer[str]
    with_mean: bool
    with_std: bool
    def __init__(self, method: _Optional[str] = ..., mode: _Optional[str] = ..., area: _Optional[str] = ..., scale_column: _Optional[_Iterable[str]] = ..., feat_upper: _Optional[_Iterable[str]] = ..., feat_lower: _Optional[_Iterable[str]] = ..., with_mean: _Optional[bool] = ..., with_std: _Optional[bool] = ...) -> None: ...

class ColumnScaleParam(_message.Message):
    __slots__ = ("column_upper", "column_lower", "mean", "std")
    COLUMN_UPPER_FIELD_NUMBER: _ClassVar[int]
    COLUMN_LOWER_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    column_upper: float
    column_lower: float
    mean: float
    std: float
    def __init__(self, column_upper: _Optional[float] = ..., column_lower: _Optional[float] = ..., mean: _Optional[float] = ..., std: _Optional[float] = ...) -> None: ...

class ScaleParam(_message.Message):
    __slots__ = ("col_scale_param", "header", "need_run")
    class ColScaleParamEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ColumnScaleParam
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ColumnScaleParam, _Mapping]] = ...) -> None: ...
    COL_SCALE_PARAM_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    NEED_RUN_FIELD_NUMBER: _ClassVar[int]
    col_scale_param: _containers.MessageMap[str, ColumnScaleParam]
    header: _containers.RepeatedScalarFieldContainer[str]
    need_run: bool
    def __init__(self, col_scale_param: _Optional[_Mapping[str, ColumnScaleParam]] = ..., header: _Optional[_Iterable[str]] = ..., need_run: _Optional[bool] = ...) -> None: ...

class TransformMeta(_message.Message):
    __slots__ = ("transform_cols", "transform_type")
    TRANSFORM_COLS_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_TYPE_FIELD_NUMBER: _ClassVar[int]
    transform_cols: _containers.RepeatedScalarFieldContainer[int]
    transform_type: str
    def __init__(self, transform_cols: _Optional[_Iterable[int]] = ..., transform_type: _Optional[str] = ...) -> None: ...

class FeatureBinningMeta(_message.Message):
    __slots__ = ("need_run", "compress_thres", "head_size", "error", "bin_num", "cols", "adjustment_factor", "local_only", "transform_param", "method", "skip_static", "protocol")
    NEED_RUN_FIELD_NUMBER: _ClassVar[int]
    COMPRESS_THRES_FIELD_NUMBER: _ClassVar[int]
    HEAD_SIZE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    BIN_NUM_FIELD_NUMBER: _ClassVar[int]
    COLS_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENT_FACTOR_FIELD_NUMBER: _ClassVar[int]
    LOCAL_ONLY_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_PARAM_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SKIP_STATIC_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    need_run: bool
    compress_thres: int
    head_size: int
    error: float
    bin_num: int
    cols: _containers.RepeatedScalarFieldContainer[str]
    adjustment_factor: float
    local_only: bool
    transform_param: TransformMeta
    method: str
    skip_static: bool
    protocol: str
    def __init__(self, need_run: _Optional[bool] = ..., compress_thres: _Optional[int] = ..., head_size: _Optional[int] = ..., error: _Optional[float] = ..., bin_num: _Optional[int] = ..., cols: _Optional[_Iterable[str]] = ..., adjustment_factor: _Optional[float] = ..., local_only: _Optional[bool] = ..., transform_param: _Optional[_Union[TransformMeta, _Mapping]] = ..., method: _Optional[str] = ..., skip_static: _Optional[bool] = ..., protocol: _Optional[str] = ...) -> None: ...

class IVParam(_message.Message):
    __slots__ = ("woe_array", "iv_array", "event_count_array", "non_event_count_array", "event_rate_array", "non_event_rate_array", "split_points", "iv", "is_woe_monotonic", "bin_nums", "bin_anonymous", "has_missing_bin")
    WOE_ARRAY_FIELD_NUMBER: _ClassVar[int]
    IV_ARRAY_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_ARRAY_FIELD_NUMBER: _ClassVar[int]
    NON_EVENT_COUNT_ARRAY_FIELD_NUMBER: _ClassVar[int]
    EVENT_RATE_ARRAY_FIELD_NUMBER: _ClassVar[int]
    NON_EVENT_RATE_ARRAY_FIELD_NUMBER: _ClassVar[int]
    SPLIT_POINTS_FIELD_NUMBER: _ClassVar[int]
    IV_FIELD_NUMBER: _ClassVar[int]
    IS_WOE_MONOTONIC_FIELD_NUMBER: _ClassVar[int]
    BIN_NUMS_FIELD_NUMBER: _ClassVar[int]
    BIN_ANONYMOUS_FIELD_NUMBER: _ClassVar[int]
    HAS_MISSING_BIN_FIELD_NUMBER: _ClassVar[int]
    woe_array: _containers.RepeatedScalarFieldContainer[float]
    iv_array: _containers.RepeatedScalarFieldContainer[float]
    event_count_array: _containers.RepeatedScalarFieldContainer[int]
    non_event_count_array: _containers.RepeatedScalarFieldContainer[int]
    event_rate_array: _containers.RepeatedScalarFieldContainer[float]
    non_event_rate_array: _containers.RepeatedScalarFieldContainer[float]
    split_points: _containers.RepeatedScalarFieldContainer[float]
    iv: float
    is_woe_monotonic: bool
    bin_nums: int
    bin_anonymous: str
    has_missing_bin: bool
    def __init__(self, woe_array: _Optional[_Iterable[float]] = ..., iv_array: _Optional[_Iterable[float]] = ..., event_count_array: _Optional[_Iterable[int]] = ..., non_event_count_array: _Optional[_Iterable[int]] = ..., event_rate_array: _Optional[_Iterable[float]] = ..., non_event_rate_array: _Optional[_Iterable[float]] = ..., split_points: _Optional[_Iterable[float]] = ..., iv: _Optional[float] = ..., is_woe_monotonic: _Optional[bool] = ..., bin_nums: _Optional[int] = ..., bin_anonymous: _Optional[str] = ..., has_missing_bin: _Optional[bool] = ...) -> None: ...

class FeatureBinningResult(_message.Message):
    __slots__ = ("binning_result", "role", "party_id")
    class BinningResultEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: IVParam
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[IVParam, _Mapping]] = ...) -> None: ...
    BINNING_RESULT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PARTY_ID_FIELD_NUMBER: _ClassVar[int]
    binning_result: _containers.MessageMap[str, IVParam]
    role: str
    party_id: str
    def __init__(self, binning_result: _Optional[_Mapping[str, IVParam]] = ..., role: _Optional[str] = ..., party_id: _Optional[str] = ...) -> None: ...

class FeatureBinningParam(_message.Message):
    __slots__ = ("binning_result", "host_results", "header", "classes")
    class HostResultsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FeatureBinningResult
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FeatureBinningResult, _Mapping]] = ...) -> None: ...
    BINNING_RESULT_FIELD_NUMBER: _ClassVar[int]
    HOST_RESULTS_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    binning_result: FeatureBinningResult
    host_results: _containers.MessageMap[str, FeatureBinningResult]
    header: _containers.RepeatedScalarFieldContainer[str]
    classes: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, binning_result: _Optional[_Union[FeatureBinningResult, _Mapping]] = ..., host_results: _Optional[_Mapping[str, FeatureBinningResult]] = ..., header: _Optional[_Iterable[str]] = ..., classes: _Optional[_Iterable[float]] = ...) -> None: ...

class UniqueValueMeta(_message.Message):
    __slots__ = ("eps",)
    EPS_FIELD_NUMBER: _ClassVar[int]
    eps: float
    def __init__(self, eps: _Optional[float] = ...) -> None: ...

class IVValueSelectionMeta(_message.Message):
    __slots__ = ("value_threshold",)
    VALUE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    value_threshold: float
    def __init__(self, value_threshold: _Optional[float] = ...) -> None: ...

class IVPercentileSelectionMeta(_message.Message):
    __slots__ = ("percentile_threshold",)
    PERCENTILE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    percentile_threshold: float
    def __init__(self, percentile_threshold: _Optional[float] = ...) -> None: ...

class VarianceOfCoeSelectionMeta(_message.Message):
    __slots__ = ("value_threshold",)
    VALUE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    value_threshold: float
    def __init__(self, value_threshold: _Optional[float] = ...) -> None: ...

class OutlierColsSelectionMeta(_message.Message):
    __slots__ = ("percentile", "upper_threshold")
    PERCENTILE_FIELD_NUMBER: _ClassVar[int]
    UPPER_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    percentile: float
    upper_threshold: float
    def __init__(self, percentile: _Optional[float] = ..., upper_threshold: _Optional[float] = ...) -> None: ...

class FilterMeta(_message.Message):
    __slots__ = ("metrics", "filter_type", "take_high", "threshold", "select_federated", "filter_out_names")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    FILTER_TYPE_FIELD_NUMBER: _ClassVar[int]
    TAKE_HIGH_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SELECT_FEDERATED_FIELD_NUMBER: _ClassVar[int]
    FILTER_OUT_NAMES_FIELD_NUMBER: _ClassVar[int]
    metrics: str
    filter_type: str
    take_high: bool
    threshold: float
    select_federated: bool
    filter_out_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, metrics: _Optional[str] = ..., filter_type: _Optional[str] = ..., take_high: _Optional[bool] = ..., threshold: _Optional[float] = ..., select_federated: _Optional[bool] = ..., filter_out_names: _Optional[_Iterable[str]] = ...) -> None: ...

class FeatureSelectionMeta(_message.Message):
    __slots__ = ("filter_methods", "local_only", "cols", "unique_meta", "iv_value_meta", "iv_percentile_meta", "variance_coe_meta", "outlier_meta", "need_run", "filter_metas")
    FILTER_METHODS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_ONLY_FIELD_NUMBER: _ClassVar[int]
    COLS_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_META_FIELD_NUMBER: _ClassVar[int]
    IV_VALUE_META_FIELD_NUMBER: _ClassVar[int]
    IV_PERCENTILE_META_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_COE_META_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_META_FIELD_NUMBER: _ClassVar[int]
    NEED_RUN_FIELD_NUMBER: _ClassVar[int]
    FILTER_METAS_FIELD_NUMBER: _ClassVar[int]
    filter_methods: _containers.RepeatedScalarFieldContainer[str]
    local_only: bool
    cols: _containers.RepeatedScalarFieldContainer[str]
    unique_meta: UniqueValueMeta
    iv_value_meta: IVValueSelectionMeta
    iv_percentile_meta: IVPercentileSelectionMeta
    variance_coe_meta: VarianceOfCoeSelectionMeta
    outlier_meta: OutlierColsSelectionMeta
    need_run: bool
    filter_metas: _containers.RepeatedCompositeFieldContainer[FilterMeta]
    def __init__(self, filter_methods: _Optional[_Iterable[str]] = ..., local_only: _Optional[bool] = ..., cols: _Optional[_Iterable[str]] = ..., unique_meta: _Optional[_Union[UniqueValueMeta, _Mapping]] = ..., iv_value_meta: _Optional[_Union[IVValueSelectionMeta, _Mapping]] = ..., iv_percentile_meta: _Optional[_Union[IVPercentileSelectionMeta, _Mapping]] = ..., variance_coe_meta: _Optional[_Union[VarianceOfCoeSelectionMeta, _Mapping]] = ..., outlier_meta: _Optional[_Union[OutlierColsSelectionMeta, _Mapping]] = ..., need_run: _Optional[bool] = ..., filter_metas: _Optional[_Iterable[_Union[FilterMeta, _Mapping]]] = ...) -> None: ...

class FeatureValue(_message.Message):
    __slots__ = ("feature_values",)
    class FeatureValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    FEATURE_VALUES_FIELD_NUMBER: _ClassVar[int]
    feature_values: _containers.ScalarMap[str, float]
    def __init__(self, feature_values: _Optional[_Mapping[str, float]] = ...) -> None: ...

class LeftCols(_message.Message):
    __slots__ = ("original_cols", "left_cols")
    class LeftColsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    ORIGINAL_COLS_FIELD_NUMBER: _ClassVar[int]
    LEFT_COLS_FIELD_NUMBER: _ClassVar[int]
    original_cols: _containers.RepeatedScalarFieldContainer[str]
    left_cols: _containers.ScalarMap[str, bool]
    def __init__(self, original_cols: _Optional[_Iterable[str]] = ..., left_cols: _Optional[_Mapping[str, bool]] = ...) -> None: ...

class FeatureSelectionFilterParam(_message.Message):
    __slots__ = ("feature_values", "host_feature_values", "left_cols", "host_left_cols", "filter_name")
    class FeatureValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class HostFeatureValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FeatureValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...
    class HostLeftColsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: LeftCols
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[LeftCols, _Mapping]] = ...) -> None: ...
    FEATURE_VALUES_FIELD_NUMBER: _ClassVar[int]
    HOST_FEATURE_VALUES_FIELD_NUMBER: _ClassVar[int]
    LEFT_COLS_FIELD_NUMBER: _ClassVar[int]
    HOST_LEFT_COLS_FIELD_NUMBER: _ClassVar[int]
    FILTER_NAME_FIELD_NUMBER: _ClassVar[int]
    feature_values: _containers.ScalarMap[str, float]
    host_feature_values: _containers.MessageMap[str, FeatureValue]
    left_cols: LeftCols
    host_left_cols: _containers.MessageMap[str, LeftCols]
    filter_name: str
    def __init__(self, feature_values: _Optional[_Mapping[str, float]] = ..., host_feature_values: _Optional[_Mapping[str, FeatureValue]] = ..., left_cols: _Optional[_Union[LeftCols, _Mapping]] = ..., host_left_cols: _Optional[_Mapping[str, LeftCols]] = ..., filter_name: _Optional[str] = ...) -> None: ...

class FeatureSelectionParam(_message.Message):
    __slots__ = ("results", "final_left_cols", "header")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    FINAL_LEFT_COLS_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[FeatureSelectionFilterParam]
    final_left_cols: LeftCols
    header: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, results: _Optional[_Iterable[_Union[FeatureSelectionFilterParam, _Mapping]]] = ..., final_left_cols: _Optional[_Union[LeftCols, _Mapping]] = ..., header: _Optional[_Iterable[str]] = ...) -> None: ...

class OneHotMeta(_message.Message):
    __slots__ = ("cols", "need_run")
    COLS_FIELD_NUMBER: _ClassVar[int]
    NEED_RUN_FIELD_NUMBER: _ClassVar[int]
    cols: _containers.RepeatedScalarFieldContainer[str]
    need_run: bool
    def __init__(self, cols: _Optional[_Iterable[str]] = ..., need_run: _Optional[bool] = ...) -> None: ...

class ColsMap(_message.Message):
    __slots__ = ("values", "encoded_variables", "data_type")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ENCODED_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    encoded_variables: _containers.RepeatedScalarFieldContainer[str]
    data_type: str
    def __init__(self, values: _Optional[_Iterable[str]] = ..., encoded_variables: _Optional[_Iterable[str]] = ..., data_type: _Optional[str] = ...) -> None: ...

class OneHotParam(_message.Message):
    __slots__ = ("col_map", "header")
    class ColMapEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ColsMap
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ColsMap, _Mapping]] = ...) -> None: ...
    COL_MAP_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    col_map: _containers.MessageMap[str, ColsMap]
    header: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, col_map: _Optional[_Mapping[str, ColsMap]] = ..., header: _Optional[_Iterable[str]] = ...) -> None: ...

class StatisticMeta(_message.Message):
    __slots__ = ("statistics", "static_columns", "quantile_error", "need_run")
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    STATIC_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_ERROR_FIELD_NUMBER: _ClassVar[int]
    NEED_RUN_FIELD_NUMBER: _ClassVar[int]
    statistics: _containers.RepeatedScalarFieldContainer[str]
    static_columns: _containers.RepeatedScalarFieldContainer[str]
    quantile_error: float
    need_run: bool
    def __init__(self, statistics: _Optional[_Iterable[str]] = ..., static_columns: _Optional[_Iterable[str]] = ..., quantile_error: _Optional[float] = ..., need_run: _Optional[bool] = ...) -> None: ...

class StatisticOneFeatureValues(_message.Message):
    __slots__ = ("values",)
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.ScalarMap[str, float]
    def __init__(self, values: _Optional[_Mapping[str, float]] = ...) -> None: ...

class StatisticParam(_message.Message):
    __slots__ = ("self_values", "model_name", "header")
    class SelfValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: StatisticOneFeatureValues
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[StatisticOneFeatureValues, _Mapping]] = ...) -> None: ...
    SELF_VALUES_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    self_values: _containers.MessageMap[str, StatisticOneFeatureValues]
    model_name: str
    header: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, self_values: _Optional[_Mapping[str, StatisticOneFeatureValues]] = ..., model_name: _Optional[str] = ..., header: _Optional[_Iterable[str]] = ...) -> None: ...
