from airfed_proto.v1 import common_pb2 as _common_pb2
from airfed_proto.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FederateRequest(_message.Message):
    __slots__ = ("job_id", "pipeline", "dsl", "conf", "dag_id", "spec_digest", "patience")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    DSL_FIELD_NUMBER: _ClassVar[int]
    CONF_FIELD_NUMBER: _ClassVar[int]
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PATIENCE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    pipeline: str
    dsl: bytes
    conf: bytes
    dag_id: str
    spec_digest: str
    patience: float
    def __init__(self, job_id: _Optional[str] = ..., pipeline: _Optional[str] = ..., dsl: _Optional[bytes] = ..., conf: _Optional[bytes] = ..., dag_id: _Optional[str] = ..., spec_digest: _Optional[str] = ..., patience: _Optional[float] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("initiator", "job_id", "dag_id", "spec_digest")
    INITIATOR_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    DAG_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    initiator: str
    job_id: str
    dag_id: str
    spec_digest: str
    def __init__(self, initiator: _Optional[str] = ..., job_id: _Optional[str] = ..., dag_id: _Optional[str] = ..., spec_digest: _Optional[str] = ...) -> None: ...

class AdmissionNews(_message.Message):
    __slots__ = ("done", "answers", "failure", "job_dir", "waits")
    class AnswersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _job_pb2.ProposalAnswer
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_job_pb2.ProposalAnswer, _Mapping]] = ...) -> None: ...
    DONE_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    JOB_DIR_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    done: bool
    answers: _containers.MessageMap[str, _job_pb2.ProposalAnswer]
    failure: _common_pb2.Failure
    job_dir: str
    waits: str
    def __init__(self, done: _Optional[bool] = ..., answers: _Optional[_Mapping[str, _job_pb2.ProposalAnswer]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., job_dir: _Optional[str] = ..., waits: _Optional[str] = ...) -> None: ...

class Join(_message.Message):
    __slots__ = ("job", "component", "member", "task_instance_id", "try_number", "pid", "conf_digest", "component_version", "generation", "attempt")
    JOB_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    TASK_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TRY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    CONF_DIGEST_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    job: _common_pb2.JobKey
    component: str
    member: _common_pb2.Member
    task_instance_id: str
    try_number: int
    pid: int
    conf_digest: bytes
    component_version: str
    generation: int
    attempt: int
    def __init__(self, job: _Optional[_Union[_common_pb2.JobKey, _Mapping]] = ..., component: _Optional[str] = ..., member: _Optional[_Union[_common_pb2.Member, _Mapping]] = ..., task_instance_id: _Optional[str] = ..., try_number: _Optional[int] = ..., pid: _Optional[int] = ..., conf_digest: _Optional[bytes] = ..., component_version: _Optional[str] = ..., generation: _Optional[int] = ..., attempt: _Optional[int] = ...) -> None: ...

class Prepared(_message.Message):
    __slots__ = ("outputs",)
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    outputs: bytes
    def __init__(self, outputs: _Optional[bytes] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "text")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    done: float
    text: str
    def __init__(self, done: _Optional[float] = ..., text: _Optional[str] = ...) -> None: ...

class Rejoin(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Done(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Defer(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WorkerFrame(_message.Message):
    __slots__ = ("join", "checkpoint", "prepared", "failed", "progress", "rejoin", "done", "defer")
    JOIN_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    PREPARED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REJOIN_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    DEFER_FIELD_NUMBER: _ClassVar[int]
    join: Join
    checkpoint: _job_pb2.CheckpointRef
    prepared: Prepared
    failed: _common_pb2.Failure
    progress: Progress
    rejoin: Rejoin
    done: Done
    defer: Defer
    def __init__(self, join: _Optional[_Union[Join, _Mapping]] = ..., checkpoint: _Optional[_Union[_job_pb2.CheckpointRef, _Mapping]] = ..., prepared: _Optional[_Union[Prepared, _Mapping]] = ..., failed: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., rejoin: _Optional[_Union[Rejoin, _Mapping]] = ..., done: _Optional[_Union[Done, _Mapping]] = ..., defer: _Optional[_Union[Defer, _Mapping]] = ...) -> None: ...

class Start(_message.Message):
    __slots__ = ("step", "members", "resume_from", "attempt_dir", "inputs")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    STEP_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    RESUME_FROM_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_DIR_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    step: _common_pb2.StepKey
    members: _containers.RepeatedCompositeFieldContainer[_common_pb2.Member]
    resume_from: _job_pb2.CheckpointRef
    attempt_dir: str
    inputs: _containers.ScalarMap[str, bytes]
    def __init__(self, step: _Optional[_Union[_common_pb2.StepKey, _Mapping]] = ..., members: _Optional[_Iterable[_Union[_common_pb2.Member, _Mapping]]] = ..., resume_from: _Optional[_Union[_job_pb2.CheckpointRef, _Mapping]] = ..., attempt_dir: _Optional[str] = ..., inputs: _Optional[_Mapping[str, bytes]] = ...) -> None: ...

class Committed(_message.Message):
    __slots__ = ("step", "outputs", "computed")
    STEP_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    COMPUTED_FIELD_NUMBER: _ClassVar[int]
    step: _common_pb2.StepKey
    outputs: bytes
    computed: bool
    def __init__(self, step: _Optional[_Union[_common_pb2.StepKey, _Mapping]] = ..., outputs: _Optional[bytes] = ..., computed: _Optional[bool] = ...) -> None: ...

class EndAttempt(_message.Message):
    __slots__ = ("step", "failure")
    STEP_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    step: _common_pb2.StepKey
    failure: _common_pb2.Failure
    def __init__(self, step: _Optional[_Union[_common_pb2.StepKey, _Mapping]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ...) -> None: ...

class GatewayFrame(_message.Message):
    __slots__ = ("start", "end_attempt", "committed", "failed", "skipped", "deferred")
    START_FIELD_NUMBER: _ClassVar[int]
    END_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    DEFERRED_FIELD_NUMBER: _ClassVar[int]
    start: Start
    end_attempt: EndAttempt
    committed: Committed
    failed: _common_pb2.Failure
    skipped: _common_pb2.Failure
    deferred: Deferred
    def __init__(self, start: _Optional[_Union[Start, _Mapping]] = ..., end_attempt: _Optional[_Union[EndAttempt, _Mapping]] = ..., committed: _Optional[_Union[Committed, _Mapping]] = ..., failed: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., skipped: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., deferred: _Optional[_Union[Deferred, _Mapping]] = ...) -> None: ...

class Deferred(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class AwaitRequest(_message.Message):
    __slots__ = ("job", "component", "member", "task_instance_id")
    JOB_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    TASK_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    job: _common_pb2.JobKey
    component: str
    member: _common_pb2.Member
    task_instance_id: str
    def __init__(self, job: _Optional[_Union[_common_pb2.JobKey, _Mapping]] = ..., component: _Optional[str] = ..., member: _Optional[_Union[_common_pb2.Member, _Mapping]] = ..., task_instance_id: _Optional[str] = ...) -> None: ...

class AwaitReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class JobQuery(_message.Message):
    __slots__ = ("initiator", "job_id", "limit", "skip")
    INITIATOR_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    initiator: str
    job_id: str
    limit: int
    skip: int
    def __init__(self, initiator: _Optional[str] = ..., job_id: _Optional[str] = ..., limit: _Optional[int] = ..., skip: _Optional[int] = ...) -> None: ...

class MemberStep(_message.Message):
    __slots__ = ("member", "state", "attempt", "progress", "text", "bytes_sent", "bytes_received")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    member: _common_pb2.Member
    state: _job_pb2.StepState
    attempt: int
    progress: float
    text: str
    bytes_sent: int
    bytes_received: int
    def __init__(self, member: _Optional[_Union[_common_pb2.Member, _Mapping]] = ..., state: _Optional[_Union[_job_pb2.StepState, str]] = ..., attempt: _Optional[int] = ..., progress: _Optional[float] = ..., text: _Optional[str] = ..., bytes_sent: _Optional[int] = ..., bytes_received: _Optional[int] = ...) -> None: ...

class StepView(_message.Message):
    __slots__ = ("component", "module", "state", "generation", "attempt", "members", "started_at", "ended_at", "waits")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    component: str
    module: str
    state: _job_pb2.StepState
    generation: int
    attempt: int
    members: _containers.RepeatedCompositeFieldContainer[MemberStep]
    started_at: float
    ended_at: float
    waits: str
    def __init__(self, component: _Optional[str] = ..., module: _Optional[str] = ..., state: _Optional[_Union[_job_pb2.StepState, str]] = ..., generation: _Optional[int] = ..., attempt: _Optional[int] = ..., members: _Optional[_Iterable[_Union[MemberStep, _Mapping]]] = ..., started_at: _Optional[float] = ..., ended_at: _Optional[float] = ..., waits: _Optional[str] = ...) -> None: ...

class JobView(_message.Message):
    __slots__ = ("job", "pipeline", "state", "failure", "by", "parties", "steps", "created_at", "ended_at", "members", "model_key", "generation", "unanswered")
    class PartiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _job_pb2.ProposalAnswer
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_job_pb2.ProposalAnswer, _Mapping]] = ...) -> None: ...
    class UnansweredEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    JOB_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    UNANSWERED_FIELD_NUMBER: _ClassVar[int]
    job: _common_pb2.JobKey
    pipeline: str
    state: str
    failure: _common_pb2.Failure
    by: str
    parties: _containers.MessageMap[str, _job_pb2.ProposalAnswer]
    steps: _containers.RepeatedCompositeFieldContainer[StepView]
    created_at: float
    ended_at: float
    members: _containers.RepeatedCompositeFieldContainer[_common_pb2.Member]
    model_key: str
    generation: int
    unanswered: _containers.ScalarMap[str, float]
    def __init__(self, job: _Optional[_Union[_common_pb2.JobKey, _Mapping]] = ..., pipeline: _Optional[str] = ..., state: _Optional[str] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., by: _Optional[str] = ..., parties: _Optional[_Mapping[str, _job_pb2.ProposalAnswer]] = ..., steps: _Optional[_Iterable[_Union[StepView, _Mapping]]] = ..., created_at: _Optional[float] = ..., ended_at: _Optional[float] = ..., members: _Optional[_Iterable[_Union[_common_pb2.Member, _Mapping]]] = ..., model_key: _Optional[str] = ..., generation: _Optional[int] = ..., unanswered: _Optional[_Mapping[str, float]] = ...) -> None: ...

class JobViews(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobView]
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobView, _Mapping]]] = ...) -> None: ...

class EndJobRequest(_message.Message):
    __slots__ = ("job", "by", "reason")
    JOB_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job: _common_pb2.JobKey
    by: str
    reason: str
    def __init__(self, job: _Optional[_Union[_common_pb2.JobKey, _Mapping]] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class EndJobReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
