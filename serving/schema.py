"""Bodies of the REST calls, in FATE-Serving's shape."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

MAX_COLUMNS = 10_000
MAX_BATCH = 300
Text = Annotated[str, Field(min_length=1, max_length=256)]
Value = Annotated[float | Annotated[str, Field(max_length=4096)] | None, Field(union_mode="left_to_right")]
EXAMPLE: dict[str, Any] = {
    "head": {"serviceId": "breast"},
    "body": {"featureData": {"x0": 0.25, "x1": -1.5}, "sendToRemoteFeatureData": {"id": "871001"}},
}


class _Request(BaseModel):
    # Callers of FATE-Serving send more keys (applyId, ...): they are ignored and never leave this party.
    model_config = ConfigDict(
        strict=True, extra="ignore", frozen=True, allow_inf_nan=False, alias_generator=to_camel, populate_by_name=True
    )


class Head(_Request):
    """Which model."""

    service_id: Text = Field(description="the model key of the training job, or a whole party model id")


class RemoteIds(_Request):
    """What hosts look the sample up by. Nothing else of the request leaves this party."""

    id: Text | int | None = Field(default=None, description="sample id")
    device_id: Text | int | None = Field(default=None, alias="device_id", description="FATE's name for the same")

    @model_validator(mode="after")
    def _one(self) -> RemoteIds:
        if (self.id is None) == (self.device_id is None):
            raise ValueError("one of id and device_id is needed")
        return self

    @property
    def sample_id(self) -> str:
        """The id as text, as tables keep it."""
        return str(self.device_id if self.id is None else self.id)


class Sample(_Request):
    """One sample: the guest's own columns, and the id for the hosts."""

    feature_data: dict[Text, Value] = Field(max_length=MAX_COLUMNS, description="column -> number, text or null")
    send_to_remote_feature_data: RemoteIds


class BatchSample(Sample):
    """One sample of a batch; indices are unique and count from 0."""

    index: int = Field(ge=0, lt=MAX_BATCH)


class InferenceRequest(_Request):
    """Body of ``/federation/v1/inference``."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    head: Head
    body: Sample


class BatchBody(_Request):
    """Samples of one call."""

    batch_data_list: list[BatchSample] = Field(min_length=1, max_length=MAX_BATCH)

    @model_validator(mode="after")
    def _counted(self) -> BatchBody:
        if {sample.index for sample in self.batch_data_list} != set(range(len(self.batch_data_list))):
            raise ValueError("indices must be unique and count from 0")
        return self


class BatchRequest(_Request):
    """Body of ``/federation/v1/batchInference``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"head": EXAMPLE["head"], "body": {"batchDataList": [{"index": 0, **EXAMPLE["body"]}]}}]
        }
    )

    head: Head
    body: BatchBody


class _Reply(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Score(_Reply):
    """A score and the model that gave it; empty if ``retcode`` is not 0."""

    score: float | list[float] | None = Field(default=None, description="of a model of several classes one per class")
    label: float | int | None = Field(default=None, description="of several classes the one with the highest score")
    model_id: str | None = Field(default=None, description="FATE's party model id")
    model_version: str | None = Field(default=None, description="the training job's id")
    timestamp: int | None = Field(default=None, description="when the model was loaded, ms")


class InferenceReply(_Reply):
    """FATE-Serving's answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "retcode": 0,
                    "retmsg": "",
                    "data": {
                        "score": 0.93,
                        "modelId": "guest#9999#arbiter-10001#guest-9999#host-10000#breast",
                        "modelVersion": "20260101120000000000",
                        "timestamp": 1767268800000,
                    },
                    "flag": 0,
                }
            ]
        }
    )

    retcode: int = Field(description="0, or FATE-Serving's code; 2000 + the host's code if a host declined")
    retmsg: str
    data: Score = Score()
    flag: int = 0


class RowReply(_Reply):
    """One sample's answer within a batch."""

    index: int
    retcode: int
    retmsg: str
    data: Score


class BatchReply(InferenceReply):
    """FATE-Serving's answer to a batch: every row twice, as a list and by index."""

    batch_data_list: list[RowReply] = []
    single_inference_result_map: dict[str, RowReply] = {}


class Health(_Reply):
    """The process runs."""

    status: str = "live"


class ServedModel(_Reply):
    """A loaded model."""

    model_id: str
    model_version: str
    registry_version: int
    role: str
    service_id: str
    manifest: str = Field(description="digest of the model's manifest, hex SHA-256")
    timestamp: int
    components: dict[str, str] = Field(description="component -> module, in order")
    hosts: list[str]


class Models(_Reply):
    """What is served, and why other models are not."""

    models: list[ServedModel]
    problems: dict[str, str] = Field(description="registered model -> why its newest version is not served")


class Readiness(_Reply):
    """Ready: at least one model, and every model with all of its hosts at the same version."""

    ready: bool
    models: dict[str, dict[str, Any]]
    problems: dict[str, str]
