from airfed_proto.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProposalState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROPOSAL_STATE_UNSPECIFIED: _ClassVar[ProposalState]
    PROPOSED: _ClassVar[ProposalState]
    PENDING: _ClassVar[ProposalState]
    ACCEPTED: _ClassVar[ProposalState]
    REFUSED: _ClassVar[ProposalState]
    EXPIRED: _ClassVar[ProposalState]
    WITHDRAWN: _ClassVar[ProposalState]
    ENROLLED: _ClassVar[ProposalState]

class StepState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_STATE_UNSPECIFIED: _ClassVar[StepState]
    WAITED: _ClassVar[StepState]
    CALLED: _ClassVar[StepState]
    PRESENT: _ClassVar[StepState]
    STARTED: _ClassVar[StepState]
    PREPARED: _ClassVar[StepState]
    COMMITTED: _ClassVar[StepState]
    FAILED: _ClassVar[StepState]
    SKIPPED: _ClassVar[StepState]
    ABSENT: _ClassVar[StepState]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    SUCCEEDED: _ClassVar[Verdict]
    JOB_FAILED: _ClassVar[Verdict]
    CANCELLED: _ClassVar[Verdict]
    TIMED_OUT: _ClassVar[Verdict]
PROPOSAL_STATE_UNSPECIFIED: ProposalState
PROPOSED: ProposalState
PENDING: ProposalState
ACCEPTED: ProposalState
REFUSED: ProposalState
EXPIRED: ProposalState
WITHDRAWN: ProposalState
ENROLLED: ProposalState
STEP_STATE_UNSPECIFIED: StepState
WAITED: StepState
CALLED: StepState
PRESENT: StepState
STARTED: StepState
PREPARED: StepState
COMMITTED: StepState
FAILED: StepState
SKIPPED: StepState
ABSENT: StepState
VERDICT_UNSPECIFIED: Verdict
SUCCEEDED: Verdict
JOB_FAILED: Verdict
CANCELLED: Verdict
TIMED_OUT: Verdict

class Proposal(_message.Message):
    __slots__ = ("job", "pipeline", "dsl", "conf", "component_versions", "disclosure_digest", "digest")
    class ComponentVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    DSL_FIELD_NUMBER: _ClassVar[int]
    CONF_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    DISCLOSURE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    job: _common_pb2.JobKey
    pipeline: str
    dsl: bytes
    conf: bytes
    component_versions: _containers.ScalarMap[str, str]
    disclosure_digest: bytes
    digest: bytes
    def __init__(self, job: _Optional[_Union[_common_pb2.JobKey, _Mapping]] = ..., pipeline: _Optional[str] = ..., dsl: _Optional[bytes] = ..., conf: _Optional[bytes] = ..., component_versions: _Optional[_Mapping[str, str]] = ..., disclosure_digest: _Optional[bytes] = ..., digest: _Optional[bytes] = ...) -> None: ...

class ProposalAnswer(_message.Message):
    __slots__ = ("state", "failure", "run_url")
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RUN_URL_FIELD_NUMBER: _ClassVar[int]
    state: ProposalState
    failure: _common_pb2.Failure
    run_url: str
    def __init__(self, state: _Optional[_Union[ProposalState, str]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., run_url: _Optional[str] = ...) -> None: ...

class ProposalRef(_message.Message):
    __slots__ = ("job", "digest", "reason")
    JOB_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job: _common_pb2.JobKey
    digest: bytes
    reason: str
    def __init__(self, job: _Optional[_Union[_common_pb2.JobKey, _Mapping]] = ..., digest: _Optional[bytes] = ..., reason: _Optional[str] = ...) -> None: ...

class CheckpointRef(_message.Message):
    __slots__ = ("attempt", "round", "digest")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    round: int
    digest: bytes
    def __init__(self, attempt: _Optional[int] = ..., round: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class StepReport(_message.Message):
    __slots__ = ("member", "step", "event", "conf_digest", "component_version", "checkpoint", "outputs_digest", "failure", "progress", "progress_text", "lease", "serial", "epoch")
    class Event(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        EVENT_UNSPECIFIED: _ClassVar[StepReport.Event]
        WORKER_PRESENT: _ClassVar[StepReport.Event]
        WORKER_LOST: _ClassVar[StepReport.Event]
        WORKER_FAILED: _ClassVar[StepReport.Event]
        CHECKPOINT_STORED: _ClassVar[StepReport.Event]
        OUTPUTS_PREPARED: _ClassVar[StepReport.Event]
        PROGRESS: _ClassVar[StepReport.Event]
        RUN_ENDED: _ClassVar[StepReport.Event]
        WORKER_WAITS: _ClassVar[StepReport.Event]
        LEASE_GRANTED: _ClassVar[StepReport.Event]
        LEASE_WAITS: _ClassVar[StepReport.Event]
    EVENT_UNSPECIFIED: StepReport.Event
    WORKER_PRESENT: StepReport.Event
    WORKER_LOST: StepReport.Event
    WORKER_FAILED: StepReport.Event
    CHECKPOINT_STORED: StepReport.Event
    OUTPUTS_PREPARED: StepReport.Event
    PROGRESS: StepReport.Event
    RUN_ENDED: StepReport.Event
    WORKER_WAITS: StepReport.Event
    LEASE_GRANTED: StepReport.Event
    LEASE_WAITS: StepReport.Event
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    CONF_DIGEST_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_TEXT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    member: _common_pb2.Member
    step: _common_pb2.StepKey
    event: StepReport.Event
    conf_digest: bytes
    component_version: str
    checkpoint: CheckpointRef
    outputs_digest: bytes
    failure: _common_pb2.Failure
    progress: float
    progress_text: str
    lease: int
    serial: int
    epoch: bytes
    def __init__(self, member: _Optional[_Union[_common_pb2.Member, _Mapping]] = ..., step: _Optional[_Union[_common_pb2.StepKey, _Mapping]] = ..., event: _Optional[_Union[StepReport.Event, str]] = ..., conf_digest: _Optional[bytes] = ..., component_version: _Optional[str] = ..., checkpoint: _Optional[_Union[CheckpointRef, _Mapping]] = ..., outputs_digest: _Optional[bytes] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., progress: _Optional[float] = ..., progress_text: _Optional[str] = ..., lease: _Optional[int] = ..., serial: _Optional[int] = ..., epoch: _Optional[bytes] = ...) -> None: ...

class StepReportReply(_message.Message):
    __slots__ = ("common",)
    COMMON_FIELD_NUMBER: _ClassVar[int]
    common: CheckpointRef
    def __init__(self, common: _Optional[_Union[CheckpointRef, _Mapping]] = ...) -> None: ...

class StepCommand(_message.Message):
    __slots__ = ("member", "step", "action", "resume_from", "members", "failure", "committed", "lease")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[StepCommand.Action]
        START: _ClassVar[StepCommand.Action]
        END_ATTEMPT: _ClassVar[StepCommand.Action]
        COMMIT: _ClassVar[StepCommand.Action]
        FAIL: _ClassVar[StepCommand.Action]
        LEASE: _ClassVar[StepCommand.Action]
        RELEASE: _ClassVar[StepCommand.Action]
        CALL: _ClassVar[StepCommand.Action]
        SKIP: _ClassVar[StepCommand.Action]
    ACTION_UNSPECIFIED: StepCommand.Action
    START: StepCommand.Action
    END_ATTEMPT: StepCommand.Action
    COMMIT: StepCommand.Action
    FAIL: StepCommand.Action
    LEASE: StepCommand.Action
    RELEASE: StepCommand.Action
    CALL: StepCommand.Action
    SKIP: StepCommand.Action
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESUME_FROM_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    member: _common_pb2.Member
    step: _common_pb2.StepKey
    action: StepCommand.Action
    resume_from: CheckpointRef
    members: _containers.RepeatedCompositeFieldContainer[_common_pb2.Member]
    failure: _common_pb2.Failure
    committed: _containers.RepeatedScalarFieldContainer[str]
    lease: int
    def __init__(self, member: _Optional[_Union[_common_pb2.Member, _Mapping]] = ..., step: _Optional[_Union[_common_pb2.StepKey, _Mapping]] = ..., action: _Optional[_Union[StepCommand.Action, str]] = ..., resume_from: _Optional[_Union[CheckpointRef, _Mapping]] = ..., members: _Optional[_Iterable[_Union[_common_pb2.Member, _Mapping]]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., committed: _Optional[_Iterable[str]] = ..., lease: _Optional[int] = ...) -> None: ...

class StepCommandReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerdictNotice(_message.Message):
    __slots__ = ("job", "generation", "verdict", "failure", "by", "before")
    JOB_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    job: _common_pb2.JobKey
    generation: int
    verdict: Verdict
    failure: _common_pb2.Failure
    by: str
    before: _containers.RepeatedCompositeFieldContainer[StepCommand]
    def __init__(self, job: _Optional[_Union[_common_pb2.JobKey, _Mapping]] = ..., generation: _Optional[int] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., by: _Optional[str] = ..., before: _Optional[_Iterable[_Union[StepCommand, _Mapping]]] = ...) -> None: ...

class VerdictReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Greeting(_message.Message):
    __slots__ = ("party_id", "version")
    PARTY_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    party_id: str
    version: str
    def __init__(self, party_id: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class RerunOrder(_message.Message):
    __slots__ = ("job", "generation", "components", "downstream", "by", "reason", "party")
    JOB_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    DOWNSTREAM_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PARTY_FIELD_NUMBER: _ClassVar[int]
    job: _common_pb2.JobKey
    generation: int
    components: _containers.RepeatedScalarFieldContainer[str]
    downstream: bool
    by: str
    reason: str
    party: str
    def __init__(self, job: _Optional[_Union[_common_pb2.JobKey, _Mapping]] = ..., generation: _Optional[int] = ..., components: _Optional[_Iterable[str]] = ..., downstream: _Optional[bool] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., party: _Optional[str] = ...) -> None: ...

class RerunAnswer(_message.Message):
    __slots__ = ("generation", "components", "failure")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    generation: int
    components: _containers.RepeatedScalarFieldContainer[str]
    failure: _common_pb2.Failure
    def __init__(self, generation: _Optional[int] = ..., components: _Optional[_Iterable[str]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ...) -> None: ...
