"""What a party stored of a job: its DSL and conf as all parties agreed to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated_operators.gateway.names import JOB_ID
from federated_operators.gateway.plan import load_plan
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome
from federatedml.federation.party import model_id


@dataclass(frozen=True)
class StoredJob:
    """DSL and conf in canonical form, edits in the trigger form included.

    ``model_id`` is that of all parties; ``model_version`` of the model that the job makes, or predicts with.
    """

    job_id: str
    initiator: str
    dsl: Mapping[str, Any]
    conf: Mapping[str, Any]
    model_id: str
    model_version: str

    def json(self) -> dict[str, Any]:
        """As FATE's job_config answers."""
        return {
            "job_id": self.job_id,
            "initiator": self.initiator,
            "dsl": self.dsl,
            "runtime_conf": self.conf,
            "model_info": {"model_id": self.model_id, "model_version": self.model_version},
        }

    def write(self, folder: Path) -> Path:
        """Write FATE's files below ``folder``: ``job_JOB_config/{dsl,runtime_conf,model_info}.json``; that folder."""
        target = folder / f"job_{self.job_id}_config"
        target.mkdir(parents=True, exist_ok=True)
        for name in ("dsl", "runtime_conf", "model_info"):
            text = json.dumps(self.json()[name], indent=2, ensure_ascii=False)
            (target / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
        return target


def stored_job(home: PartyHome, job_id: str) -> StoredJob:
    """A job that was admitted at this party, whether the party runs or not; ``FedError`` if none of that id was."""
    folders = sorted(home.jobs.glob(f"*/{job_id}")) if JOB_ID.fullmatch(job_id) else []
    plans = [path for folder in folders for path in sorted(folder.glob("*/plan.json"))]
    if not plans:
        hint = "airfed job list shows those that it knows"
        raise FedError("FED-933", f"party {home.config.party_id} has stored nothing of a job {job_id!r}", hint)
    plan = load_plan(plans[0].read_bytes())
    agreed = json.loads((plans[0].parents[1] / "job.json").read_bytes())
    version = plan.source.model_version if plan.source else job_id
    model = model_id(plan.members, plan.model_key)
    return StoredJob(job_id, plan.initiator.party, agreed["dsl"], agreed["conf"], model, version)
