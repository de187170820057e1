from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ImputerMeta(_message.Message):
    __slots__ = ("is_imputer", "strategy", "missing_value")
    IS_IMPUTER_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    MISSING_VALUE_FIELD_NUMBER: _ClassVar[int]
    is_imputer: bool
    strategy: str
    missing_value: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, is_imputer: _Optional[bool] = ..., strategy: _Optional[str] = ..., missing_value: _Optional[_Iterable[str]] = ...) -> None: ...

class OutlierMeta(_message.Message):
    __slots__ = ("is_outlier", "strategy", "outlier_value")
    IS_OUTLIER_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_VALUE_FIELD_NUMBER: _ClassVar[int]
    is_outlier: bool
    strategy: str
    outlier_value: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, is_outlier: _Optional[bool] = ..., strategy: _Optional[str] = ..., outlier_value: _Optional[_Iterable[str]] = ...) -> None: ...

class DataIOMeta(_message.Message):
    __slots__ = ("input_format", "delimitor", "data_type", "tag_with_value", "tag_value_delimitor", "with_label", "label_idx", "label_type", "output_format", "imputer_meta", "outlier_meta", "need_run", "exclusive_data_type", "unnamed")
    class ExclusiveDataTypeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    DELIMITOR_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    TAG_WITH_VALUE_FIELD_NUMBER: _ClassVar[int]
    TAG_VALUE_DELIMITOR_FIELD_NUMBER: _ClassVar[int]
    WITH_LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_IDX_FIELD_NUMBER: _ClassVar[int]
    LABEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    IMPUTER_META_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_META_FIELD_NUMBER: _ClassVar[int]
    NEED_RUN_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    UNNAMED_FIELD_NUMBER: _ClassVar[int]
    input_format: str
    delimitor: str
    data_type: str
    tag_with_value: bool
    tag_value_delimitor: str
    with_label: bool
    label_idx: int
    label_type: str
    output_format: str
    imputer_meta: ImputerMeta
    outlier_meta: OutlierMeta
    need_run: bool
    exclusive_data_type: _containers.ScalarMap[str, str]
    unnamed: int
    def __init__(self, input_format: _Optional[str] = ..., delimitor: _Optional[str] = ..., data_type: _Optional[str] = ..., tag_with_value: _Optional[bool] = ..., tag_value_delimitor: _Optional[str] = ..., with_label: _Optional[bool] = ..., label_idx: _Optional[int] = ..., label_type: _Optional[str] = ..., output_format: _Optional[str] = ..., imputer_meta: _Optional[_Union[ImputerMeta, _Mapping]] = ..., outlier_meta: _Optional[_Union[OutlierMeta, _Mapping]] = ..., need_run: _Optional[bool] = ..., exclusive_data_type: _Optional[_Mapping[str, str]] = ..., unnamed: _Optional[int] = ...) -> None: ...

class DataTransformMeta(_message.Message):
    __slots__ = ("input_format", "delimitor", "data_type", "tag_with_value", "tag_value_delimitor", "with_label", "label_name", "label_type", "output_format", "imputer_meta", "outlier_meta", "need_run", "exclusive_data_type", "with_match_id", "unnamed", "label_idx", "match_id_name")
    class ExclusiveDataTypeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    DELIMITOR_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    TAG_WITH_VALUE_FIELD_NUMBER: _ClassVar[int]
    TAG_VALUE_DELIMITOR_FIELD_NUMBER: _ClassVar[int]
    WITH_LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    IMPUTER_META_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_META_FIELD_NUMBER: _ClassVar[int]
    NEED_RUN_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    WITH_MATCH_ID_FIELD_NUMBER: _ClassVar[int]
    UNNAMED_FIELD_NUMBER: _ClassVar[int]
    LABEL_IDX_FIELD_NUMBER: _ClassVar[int]
    MATCH_ID_NAME_FIELD_NUMBER: _ClassVar[int]
    input_format: str
    delimitor: str
    data_type: str
    tag_with_value: bool
    tag_value_delimitor: str
    with_label: bool
    label_name: str
    label_type: str
    output_format: str
    imputer_meta: ImputerMeta
    outlier_meta: OutlierMeta
    need_run: bool
    exclusive_data_type: _containers.ScalarMap[str, str]
    with_match_id: bool
    unnamed: int
    label_idx: int
    match_id_name: str
    def __init__(self, input_format: _Optional[str] = ..., delimitor: _Optional[str] = ..., data_type: _Optional[str] = ..., tag_with_value: _Optional[bool] = ..., tag_value_delimitor: _Optional[str] = ..., with_label: _Optional[bool] = ..., label_name: _Optional[str] = ..., label_type: _Optional[str] = ..., output_format: _Optional[str] = ..., imputer_meta: _Optional[_Union[ImputerMeta, _Mapping]] = ..., outlier_meta: _Optional[_Union[OutlierMeta, _Mapping]] = ..., need_run: _Optional[bool] = ..., exclusive_data_type: _Optional[_Mapping[str, str]] = ..., with_match_id: _Optional[bool] = ..., unnamed: _Optional[int] = ..., label_idx: _Optional[int] = ..., match_id_name: _Optional[str] = ...) -> None: ...

class ImputerParam(_message.Message):
    __slots__ = ("missing_replace_value", "missing_value_ratio")
    class MissingReplaceValueEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class MissingValueRatioEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MISSING_REPLACE_VALUE_FIELD_NUMBER: _ClassVar[int]
    MISSING_VALUE_RATIO_FIELD_NUMBER: _ClassVar[int]
    missing_replace_value: _containers.ScalarMap[str, str]
    missing_value_ratio: _containers.ScalarMap[str, float]
    def __init__(self, missing_replace_value: _Optional[_Mapping[str, str]] = ..., missing_value_ratio: _Optional[_Mapping[str, float]] = ...) -> None: ...

class OutlierParam(_message.Message):
    __slots__ = ("outlier_replace_value", "outlier_value_ratio")
    class OutlierReplaceValueEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class OutlierValueRatioEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    OUTLIER_REPLACE_VALUE_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_VALUE_RATIO_FIELD_NUMBER: _ClassVar[int]
    outlier_replace_value: _containers.ScalarMap[str, str]
    outlier_value_ratio: _containers.ScalarMap[str, float]
    def __init__(self, outlier_replace_value: _Optional[_Mapping[str, str]] = ..., outlier_value_ratio: _Optional[_Mapping[str, float]] = ...) -> None: ...

class DataIOParam(_message.Message):
    __slots__ = ("header", "sid_name", "label_name", "imputer_param", "outlier_param")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SID_NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_NAME_FIELD_NUMBER: _ClassVar[int]
    IMPUTER_PARAM_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_PARAM_FIELD_NUMBER: _ClassVar[int]
    header: _containers.RepeatedScalarFieldContainer[str]
    sid_name: str
    label_name: str
    imputer_param: ImputerParam
    outlier_param: OutlierParam
    def __init__(self, header: _Optional[_Iterable[str]] = ..., sid_name: _Optional[str] = ..., label_name: _Optional[str] = ..., imputer_param: _Optional[_Union[ImputerParam, _Mapping]] = ..., outlier_param: _Optional[_Union[OutlierParam, _Mapping]] = ...) -> None: ...

class DataTransformParam(_message.Message):
    __slots__ = ("header", "sid_name", "label_name", "imputer_param", "outlier_param", "anonymous_header")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SID_NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_NAME_FIELD_NUMBER: _ClassVar[int]
    IMPUTER_PARAM_FIELD_NUMBER: _ClassVar[int]
    OUTLIER_PARAM_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_HEADER_FIELD_NUMBER: _ClassVar[int]
    header: _containers.RepeatedScalarFieldContainer[str]
    sid_name: str
    label_name: str
    imputer_param: ImputerParam
    outlier_param: OutlierParam
    anonymous_header: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, header: _Optional[_Iterable[str]] = ..., sid_name: _Optional[str] = ..., label_name: _Optional[str] = ..., imputer_param: _Optional[_Union[ImputerParam, _Mapping]] = ..., outlier_param: _Optional[_Union[OutlierParam, _Mapping]] = ..., anonymous_header: _Optional[_Iterable[str]] = ...) -> None: ...

class LRModelMeta(_message.Message):
    __slots__ = ("penalty", "eps", "alpha", "optimizer", "party_weight", "batch_size", "learning_rate", "max_iter", "converge_func", "re_encrypt_batches", "need_run", "need_one_vs_rest", "threshold", "protocol")
    PENALTY_FIELD_NUMBER: _ClassVar[int]
    EPS_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZER_FIELD_NUMBER: _ClassVar[int]
    PARTY_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    MAX_ITER_FIELD_NUMBER: _ClassVar[int]
    CONVERGE_FUNC_FIELD_NUMBER: _ClassVar[int]
    RE_ENCRYPT_BATCHES_FIELD_NUMBER: _ClassVar[int]
    NEED_RUN_FIELD_NUMBER: _ClassVar[int]
    NEED_ONE_VS_REST_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    penalty: str
    eps: float
    alpha: float
    optimizer: str
    party_weight: float
    batch_size: int
    learning_rate: float
    max_iter: int
    converge_func: str
    re_encrypt_batches: int
    need_run: bool
    need_one_vs_rest: bool
    threshold: float
    protocol: str
    def __init__(self, penalty: _Optional[str] = ..., eps: _Optional[float] = ..., alpha: _Optional[float] = ..., optimizer: _Optional[str] = ..., party_weight: _Optional[float] = ..., batch_size: _Optional[int] = ..., learning_rate: _Optional[float] = ..., max_iter: _Optional[int] = ..., converge_func: _Optional[str] = ..., re_encrypt_batches: _Optional[int] = ..., need_run: _Optional[bool] = ..., need_one_vs_rest: _Optional[bool] = ..., threshold: _Optional[float] = ..., protocol: _Optional[str] = ...) -> None: ...

class LRModelParam(_message.Message):
    __slots__ = ("iters", "loss_history", "is_converged", "weight", "intercept", "header", "need_one_vs_rest", "one_vs_rest_classes", "classes", "classifiers")
    class WeightEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ITERS_FIELD_NUMBER: _ClassVar[int]
    LOSS_HISTORY_FIELD_NUMBER: _ClassVar[int]
    IS_CONVERGED_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    INTERCEPT_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    NEED_ONE_VS_REST_FIELD_NUMBER: _ClassVar[int]
    ONE_VS_REST_CLASSES_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIERS_FIELD_NUMBER: _ClassVar[int]
    iters: int
    loss_history: _containers.RepeatedScalarFieldContainer[float]
    is_converged: bool
    weight: _containers.ScalarMap[str, float]
    intercept: float
    header: _containers.RepeatedScalarFieldContainer[str]
    need_one_vs_rest: bool
    one_vs_rest_classes: _containers.RepeatedScalarFieldContainer[str]
    classes: _containers.RepeatedScalarFieldContainer[float]
    classifiers: _containers.RepeatedCompositeFieldContainer[LRModelParam]
    def __init__(self, iters: _Optional[int] = ..., loss_history: _Optional[_Iterable[float]] = ..., is_converged: _Optional[bool] = ..., weight: _Optional[_Mapping[str, float]] = ..., intercept: _Optional[float] = ..., header: _Optional[_Iterable[str]] = ..., need_one_vs_rest: _Optional[bool] = ..., one_vs_rest_classes: _Optional[_Iterable[str]] = ..., classes: _Optional[_Iterable[float]] = ..., classifiers: _Optional[_Iterable[_Union[LRModelParam, _Mapping]]] = ...) -> None: ...

class Pipeline(_message.Message):
    __slots__ = ("inference_dsl", "train_dsl", "train_runtime_conf", "fate_version", "model_id", "model_version")
    INFERENCE_DSL_FIELD_NUMBER: _ClassVar[int]
    TRAIN_DSL_FIELD_NUMBER: _ClassVar[int]
    TRAIN_RUNTIME_CONF_FIELD_NUMBER: _ClassVar[int]
    FATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    inference_dsl: bytes
    train_dsl: bytes
    train_runtime_conf: bytes
    fate_version: str
    model_id: str
    model_version: str
    def __init__(self, inference_dsl: _Optional[bytes] = ..., train_dsl: _Optional[bytes] = ..., train_runtime_conf: _Optional[bytes] = ..., fate_version: _Optional[str] = ..., model_id: _Optional[str] = ..., model_version: _Optional[str] = ...) -> None: ...
