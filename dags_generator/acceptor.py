"""Proposals of jobs, validated by the same code at every party, and pipelines installed for them."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping, Sequence

from dags_generator.dropin import read
from dags_generator.parse import parse
from dags_generator.plan import disclosure, job_plan, versions
from dags_generator.reading import clip, digest, read_object
from dags_generator.spec import PipelineSpec
from dags_generator.store import BundleStore
from dags_generator.where import Where
from federated_operators.gateway.plan import JobPlan, ProposedJob
from federated_operators.outputs import write_file
from federated_operators.trained import TrainedModels
from federatedml.canonical import canonical_json
from federatedml.errors import DslError
from federatedml.federation.home import PartyHome

JOB_ID = re.compile(r"[0-9]{20,30}")


class DslAcceptor:
    """``JobAcceptor`` for pipelines written in the DSL.

    Args:
        home: the party's home.
    """

    def __init__(self, home: PartyHome) -> None:
        self.home, self._models = home, TrainedModels(home)
        self._store = BundleStore(home.bundle)
        self._installing = threading.Lock()

    def digest(self, job: ProposedJob) -> tuple[str, Mapping[str, str], bytes]:
        """Of a valid proposal: hex digest, module versions, disclosure digest. ``DslError`` if it is not valid."""
        return _digests(job, proposed(job))

    def plans(self, job: ProposedJob, party_id: str) -> Sequence[JobPlan]:
        """One plan per role that ``party_id`` plays in the job.

        Raises:
            DslError: the proposal is not valid, or predicts otherwise than the party's own half of the model says.
            ModelError, PeerError: that half is not there; the registry does not answer.
        """
        spec = proposed(job)
        agreed, _, _ = _digests(job, spec)
        own = [member for member in spec.parties.members if member.party == party_id]
        if not own:
            raise DslError("FED-172", f"party {clip(party_id)} has no role in job {job.job_id}")
        return [self._models.bound(job_plan(spec, member, job.job_id, agreed)) for member in own]

    def install(self, plan: JobPlan) -> str:
        """Write DSL and parties to ``HOME/installed`` if they are not there already; the initiator has its own file.

        Returns:
            hex digest of the file.
        """
        parties = {key: plan.conf[key] for key in ("initiator", "role")}
        body = canonical_json({"dsl": plan.dsl, "parties": parties})
        path = self.home.installed / f"{_key(plan)}.json"
        with self._installing:
            if not _own(plan) and not (path.exists() and read(path) == body):
                write_file(path, body)
        return hashlib.sha256(body).hexdigest()

    def installed(self, plan: JobPlan, bundle_version: str | None = None) -> bool:
        """Whether a version of the bundle, by default the current one, holds exactly this plan's DSL and parties."""
        try:
            return self._store.manifest(bundle_version).specs.get(_key(plan)) == plan.spec_digest
        except KeyError:
            return False


def proposed(job: ProposedJob) -> PipelineSpec:
    """The pipeline of a proposal, as hostile as it may be; ``DslError`` if anything is wrong with it."""
    if not JOB_ID.fullmatch(job.job_id):
        raise DslError("FED-173", f"{clip(job.job_id)} is not a job id", "20 to 26 digits: date, time, counter")
    dsl, conf = (_exact(body, name) for body, name in ((job.dsl, "the proposed DSL"), (job.conf, "the proposed conf")))
    spec = parse(job.pipeline, dsl, conf, Where("the proposed DSL"), Where("the proposed conf"))
    if spec.parties.initiator.party != job.initiator:
        problem = (
            f"the conf's initiator is {spec.parties.initiator.party}, the proposal comes from {clip(job.initiator)}"
        )
        raise DslError("FED-171", problem)
    return spec


def _exact(body: bytes, name: str) -> Mapping[str, object]:
    value = read_object(body, name)
    if canonical_json(value) != body:
        raise DslError("FED-171", f"{name} is not in canonical form")
    return value


def _digests(job: ProposedJob, spec: PipelineSpec) -> tuple[str, Mapping[str, str], bytes]:
    disclosed = digest(disclosure(spec))
    agreed = {
        "initiator": job.initiator,
        "job_id": job.job_id,
        "pipeline": job.pipeline,
        "dsl": hashlib.sha256(job.dsl).hexdigest(),
        "conf": hashlib.sha256(job.conf).hexdigest(),
        "component_versions": versions(spec.running),
        "disclosure": disclosed,
    }
    return digest(agreed), versions(spec.running), bytes.fromhex(disclosed)


def _own(plan: JobPlan) -> bool:
    return plan.me.party == plan.initiator.party


def _key(plan: JobPlan) -> str:
    return plan.pipeline if _own(plan) else f"{plan.initiator.party}.{plan.pipeline}"
