from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Member(_message.Message):
    __slots__ = ("role", "party_id")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PARTY_ID_FIELD_NUMBER: _ClassVar[int]
    role: str
    party_id: str
    def __init__(self, role: _Optional[str] = ..., party_id: _Optional[str] = ...) -> None: ...

class JobKey(_message.Message):
    __slots__ = ("initiator", "job_id")
    INITIATOR_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    initiator: str
    job_id: str
    def __init__(self, initiator: _Optional[str] = ..., job_id: _Optional[str] = ...) -> None: ...

class StepKey(_message.Message):
    __slots__ = ("job", "component", "generation", "attempt")
    JOB_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    job: JobKey
    component: str
    generation: int
    attempt: int
    def __init__(self, job: _Optional[_Union[JobKey, _Mapping]] = ..., component: _Optional[str] = ..., generation: _Optional[int] = ..., attempt: _Optional[int] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("dtype", "shape", "data")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Payload(_message.Message):
    __slots__ = ("tensors", "message")
    class TensorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Tensor
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Tensor, _Mapping]] = ...) -> None: ...
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    tensors: _containers.MessageMap[str, Tensor]
    message: bytes
    def __init__(self, tensors: _Optional[_Mapping[str, Tensor]] = ..., message: _Optional[bytes] = ...) -> None: ...

class EnvelopeKey(_message.Message):
    __slots__ = ("step", "topic", "round", "source", "destination")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    step: StepKey
    topic: str
    round: int
    source: Member
    destination: Member
    def __init__(self, step: _Optional[_Union[StepKey, _Mapping]] = ..., topic: _Optional[str] = ..., round: _Optional[int] = ..., source: _Optional[_Union[Member, _Mapping]] = ..., destination: _Optional[_Union[Member, _Mapping]] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("key", "index", "count", "data", "sha256")
    KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    key: EnvelopeKey
    index: int
    count: int
    data: bytes
    sha256: bytes
    def __init__(self, key: _Optional[_Union[EnvelopeKey, _Mapping]] = ..., index: _Optional[int] = ..., count: _Optional[int] = ..., data: _Optional[bytes] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("key", "outcome", "reason", "chunks")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[Receipt.Outcome]
        DELIVERED: _ClassVar[Receipt.Outcome]
        UNDELIVERABLE: _ClassVar[Receipt.Outcome]
        REFUSED: _ClassVar[Receipt.Outcome]
        ARRIVING: _ClassVar[Receipt.Outcome]
    OUTCOME_UNSPECIFIED: Receipt.Outcome
    DELIVERED: Receipt.Outcome
    UNDELIVERABLE: Receipt.Outcome
    REFUSED: Receipt.Outcome
    ARRIVING: Receipt.Outcome
    KEY_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    key: EnvelopeKey
    outcome: Receipt.Outcome
    reason: str
    chunks: int
    def __init__(self, key: _Optional[_Union[EnvelopeKey, _Mapping]] = ..., outcome: _Optional[_Union[Receipt.Outcome, str]] = ..., reason: _Optional[str] = ..., chunks: _Optional[int] = ...) -> None: ...

class Receipts(_message.Message):
    __slots__ = ("receipts",)
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    receipts: _containers.RepeatedCompositeFieldContainer[Receipt]
    def __init__(self, receipts: _Optional[_Iterable[_Union[Receipt, _Mapping]]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "message", "member", "component")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    member: Member
    component: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., member: _Optional[_Union[Member, _Mapping]] = ..., component: _Optional[str] = ...) -> None: ...
