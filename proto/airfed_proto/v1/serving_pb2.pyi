from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScoreRequest(_message.Message):
    __slots__ = ("model_key", "model_version", "guest_party_id", "ids", "case_id")
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    GUEST_PARTY_ID_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    model_key: str
    model_version: str
    guest_party_id: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    case_id: str
    def __init__(self, model_key: _Optional[str] = ..., model_version: _Optional[str] = ..., guest_party_id: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., case_id: _Optional[str] = ...) -> None: ...

class PartialScore(_message.Message):
    __slots__ = ("component", "values", "width", "bits")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    component: str
    values: _containers.RepeatedScalarFieldContainer[float]
    width: int
    bits: bytes
    def __init__(self, component: _Optional[str] = ..., values: _Optional[_Iterable[float]] = ..., width: _Optional[int] = ..., bits: _Optional[bytes] = ...) -> None: ...

class ScoreReply(_message.Message):
    __slots__ = ("retcode", "message", "scores", "missing", "model_version")
    RETCODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    retcode: int
    message: str
    scores: _containers.RepeatedCompositeFieldContainer[PartialScore]
    missing: _containers.RepeatedScalarFieldContainer[int]
    model_version: str
    def __init__(self, retcode: _Optional[int] = ..., message: _Optional[str] = ..., scores: _Optional[_Iterable[_Union[PartialScore, _Mapping]]] = ..., missing: _Optional[_Iterable[int]] = ..., model_version: _Optional[str] = ...) -> None: ...

class ReadyRequest(_message.Message):
    __slots__ = ("model_key", "guest_party_id")
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    GUEST_PARTY_ID_FIELD_NUMBER: _ClassVar[int]
    model_key: str
    guest_party_id: str
    def __init__(self, model_key: _Optional[str] = ..., guest_party_id: _Optional[str] = ...) -> None: ...

class ReadyReply(_message.Message):
    __slots__ = ("ready", "model_version")
    READY_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    model_version: str
    def __init__(self, ready: _Optional[bool] = ..., model_version: _Optional[str] = ...) -> None: ...
