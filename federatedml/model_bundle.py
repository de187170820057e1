"""A party's half of a trained pipeline as files, and back. A manifest covers every byte; its digest is the identity.

Layout::

    MLmodel                              for MLflow's pages
    manifest.json                        who, which job, which components; sha256, size and message type of every file
    components/NAME/BUFFER.pb            the bytes that the component stored, never serialised again
    components/NAME/BUFFER.json          the same for people
    pipeline/pipeline.pb                 message ``Pipeline``: DSL and conf of the training job
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airfed_proto.v1 import model_pb2
from federatedml.component import Component, registry
from federatedml.errors import DslError, ModelError
from federatedml.federation.party import Member, Role, party_model_id

MANIFEST, MLMODEL, PIPELINE = "manifest.json", "MLmodel", "pipeline/pipeline.pb"
FLAVOR = "airfed"
FORMAT = 1
NAME = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
COMPONENT_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"  # as the DSL allows
KEY = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
MAX_MANIFEST = 1 << 20  # bytes
MAX_FILES, MAX_BYTES = 4096, 256 << 20  # of a whole model


@dataclass(frozen=True)
class StoredModel:
    """The model of one component: ``buffers`` maps FATE's names (``DataIOMeta``) to the stored bytes."""

    module: str
    alias: str
    buffers: Mapping[str, bytes]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _File(_Strict):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=MAX_BYTES)
    message: str = Field(default="", pattern=r"^[A-Za-z0-9_.]{0,200}$", description="full name of the protobuf message")


class _Component(_Strict):
    name: str = Field(pattern=COMPONENT_NAME)
    module: str = Field(pattern=NAME)
    alias: str = Field(max_length=128)
    buffers: list[str] = Field(max_length=64)


class _Manifest(_Strict):
    format: int = Field(ge=FORMAT, le=FORMAT)
    party_model_id: str = Field(max_length=256)
    me: str
    members: list[str] = Field(max_length=64)
    model_key: str = Field(pattern=KEY)
    model_version: str = Field(pattern=KEY)
    initiator: str = Field(pattern=KEY)
    generation: int = Field(ge=1)
    components: list[_Component] = Field(max_length=1024, description="in topological order")
    files: dict[str, _File] = Field(max_length=MAX_FILES)


@dataclass(frozen=True)
class ModelBundle:
    """One party's half of a model.

    Attributes:
        me: the member whose half this is; its role is the one that online scoring grants.
        members: all members of the job, in the job's order.
        model_key: last part of the model id.
        model_version: the job id; equal at all parties of the model.
        generation: of the job.
        components: name -> model, in topological order; only components that have a model.
        pipeline: serialised ``Pipeline``.
    """

    me: Member
    members: Sequence[Member]
    model_key: str
    model_version: str
    initiator: str
    generation: int
    components: Mapping[str, StoredModel]
    pipeline: bytes

    @property
    def party_model_id(self) -> str:
        """``guest#9999#arbiter-10001#guest-9999#host-10000#KEY``: name of the registered model."""
        return party_model_id(self.me, self.members, self.model_key)

    def parties(self, role: Role) -> list[str]:
        """Party ids that play ``role``, in the job's order."""
        return [member.party for member in self.members if member.role is role]

    def files(self, modules: Mapping[str, Component] | None = None) -> dict[str, bytes]:
        """The bundle as files by path; the same bundle gives the same bytes.

        Args:
            modules: where message types are looked up; all installed components by default.

        Raises:
            ModelError: a module is not installed, a buffer is not one of its model, or is not that message.
        """
        types: dict[str, str] = {PIPELINE: model_pb2.Pipeline.DESCRIPTOR.full_name}
        files = {PIPELINE: self.pipeline, MLMODEL: self._mlmodel()}
        for name, model in self.components.items():
            for buffer, stored in model.buffers.items():
                message = _message(name, model.module, buffer, stored, registry() if modules is None else modules)
                path = f"components/{name}/{buffer}"
                files[f"{path}.pb"], types[f"{path}.pb"] = stored, message.DESCRIPTOR.full_name
                files[f"{path}.json"] = json_format.MessageToJson(message, preserving_proto_field_name=True).encode()
        manifest = self._manifest(files, types)
        return {**files, MANIFEST: json.dumps(manifest.model_dump(), sort_keys=True, indent=1).encode()}

    def _manifest(self, files: Mapping[str, bytes], types: Mapping[str, str]) -> _Manifest:
        try:
            return _Manifest(
                format=FORMAT,
                party_model_id=self.party_model_id,
                me=str(self.me),
                members=[str(member) for member in self.members],
                model_key=self.model_key,
                model_version=self.model_version,
                initiator=self.initiator,
                generation=self.generation,
                components=[
                    _Component(name=name, module=model.module, alias=model.alias, buffers=sorted(model.buffers))
                    for name, model in self.components.items()
                ],
                files={
                    path: _File(sha256=_sha256(body), size=len(body), message=types.get(path, ""))
                    for path, body in sorted(files.items())
                },
            )
        except ValidationError as error:
            raise ModelError("FED-603", f"the model cannot be stored: {_reasons(error)}") from None

    def _mlmodel(self) -> bytes:
        flavor = {
            "party_model_id": self.party_model_id,
            "model_version": self.model_version,
            "role": str(self.me.role),
            "party_id": self.me.party,
            "components": {name: model.module for name, model in self.components.items()},
        }
        return yaml.safe_dump({"flavors": {FLAVOR: flavor}}, sort_keys=False).encode()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], digest: str) -> ModelBundle:
        """The bundle of files that must be exactly those whose manifest has ``digest``.

        Raises:
            ModelError: ``FED-604`` a file is missing, too many, renamed or not what the manifest says; ``FED-603`` the
                manifest itself is not valid.
        """
        manifest = _verified(files, digest)
        try:
            me, members = Member.parse(manifest.me), tuple(map(Member.parse, manifest.members))
        except DslError as error:
            raise ModelError("FED-603", f"{MANIFEST}: {error.message}") from None
        components = {
            entry.name: StoredModel(
                entry.module, entry.alias, {b: files[f"components/{entry.name}/{b}.pb"] for b in entry.buffers}
            )
            for entry in manifest.components
        }
        bundle = cls(
            me,
            members,
            manifest.model_key,
            manifest.model_version,
            manifest.initiator,
            manifest.generation,
            components,
            files[PIPELINE],
        )
        if bundle.party_model_id != manifest.party_model_id or me not in members:
            raise ModelError("FED-603", f"the manifest of {manifest.party_model_id} names other members than its id")
        return bundle


def manifest_digest(files: Mapping[str, bytes]) -> str:
    """Identity of a stored model: hex SHA-256 of its manifest."""
    if MANIFEST not in files:
        raise ModelError("FED-604", f"the model has no {MANIFEST}")
    return _sha256(files[MANIFEST])


def _verified(files: Mapping[str, bytes], digest: str) -> _Manifest:
    if manifest_digest(files) != digest:
        raise ModelError("FED-604", f"{MANIFEST} is not the one with digest {digest[:16]}", "the model was changed")
    manifest = _parse_manifest(files[MANIFEST])
    _compare("files", set(files) - {MANIFEST}, set(manifest.files))
    _compare("files of its components", set(manifest.files), _expected(manifest))
    for path, said in manifest.files.items():
        if len(files[path]) != said.size or _sha256(files[path]) != said.sha256:
            raise ModelError("FED-604", f"{path} is not what the manifest says", "the model was changed")
    return manifest


def _parse_manifest(body: bytes) -> _Manifest:
    if len(body) > MAX_MANIFEST:
        raise ModelError("FED-603", f"{MANIFEST} has {len(body)} bytes, at most {MAX_MANIFEST} are allowed")
    try:
        return _Manifest.model_validate_json(body)
    except ValidationError as error:
        raise ModelError("FED-603", f"{MANIFEST} is not valid: {_reasons(error)}") from None


def _expected(manifest: _Manifest) -> set[str]:
    """Paths that the components need. Names of components and buffers are checked, so no path can lead elsewhere."""
    paths = {MLMODEL, PIPELINE}
    for entry in manifest.components:
        for buffer in entry.buffers:
            if not re.fullmatch(NAME, buffer):
                raise ModelError("FED-603", f"{buffer[:60]!r} is not a buffer's name")
            new = {f"components/{entry.name}/{buffer}.pb", f"components/{entry.name}/{buffer}.json"}
            if paths & new:
                raise ModelError("FED-603", f"component {entry.name} or its buffer {buffer} is listed twice")
            paths |= new
    return paths


def _compare(what: str, found: set[str], wanted: set[str]) -> None:
    differences = {"missing": sorted(wanted - found), "not listed": sorted(found - wanted)}
    said = [f"{word}: {', '.join(path[:80] for path in paths[:5])}" for word, paths in differences.items() if paths]
    if said:
        raise ModelError("FED-604", f"the {what} are not those of the manifest; {'; '.join(said)}")


def _message(name: str, module: str, buffer: str, stored: bytes, modules: Mapping[str, Component]) -> Message:
    if module not in modules:
        raise ModelError("FED-606", f"component {name}: module {module} is not installed")
    spec = modules[module].model
    if spec is None or buffer not in spec.buffers:
        known = ", ".join(sorted(spec.buffers)) if spec else "none"
        raise ModelError("FED-605", f"component {name}: {module} has no buffer {buffer[:60]!r}", f"it has: {known}")
    try:
        return spec.buffers[buffer].FromString(stored)
    except DecodeError:
        kind = spec.buffers[buffer].DESCRIPTOR.full_name
        raise ModelError("FED-605", f"component {name}: buffer {buffer} is not a message {kind}") from None


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _reasons(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(str(p)[:60] for p in e['loc'])}: {e['msg']}" for e in error.errors()[:3])
