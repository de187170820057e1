"""Parameters of HomoLR: FATE's, and below how many contributors a party takes no part."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from federatedml.component import Params
from federatedml.components.lr_params import EncryptedModeParam, LogisticTraining, encryption
from federatedml.crypto.secagg.client import MIN_CONTRIBUTORS
from federatedml.crypto.secagg.steps import MinContributors
from federatedml.federation.wire import Array

OWN: Mapping[str, Any] = {  # what parties may have differently
    **dict.fromkeys(("class_weight", "encrypt_param", "encrypted_mode_calculator_param", "party_weight"), True),
    **dict.fromkeys(("predict_param", "re_encrypt_batches", "sample_weight_name"), True),
    "cv_param": {"mode", "role", "evaluate_param"},
}
UNUSED = ("encrypt_param", "encrypted_mode_calculator_param", "re_encrypt_batches")  # FATE's encrypted host


def _none_is_plain(value: Any) -> Any:
    plain = value is None or (isinstance(value, str) and value.lower() in ("none", "plain"))
    return None if plain else encryption(value)


class HomoEncryptParam(Params):
    """Of FATE's encrypted host: accepted, and without effect."""

    method: Annotated[Literal["Paillier"] | None, BeforeValidator(_none_is_plain)] = Field(
        default="Paillier", description="no effect: updates and losses are masked, whatever it says"
    )
    key_length: Literal[1024, 2048, 3072, 4096] = Field(
        default=2048, description="no effect", json_schema_extra={"unit": "bit", "fate": 1024}
    )


class HomoLogisticParams(LogisticTraining):
    """FATE's LogisticParam for HomoLR."""

    aggregate_iters: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="epochs that each party trains alone before models are averaged",
        json_schema_extra={"unit": "epochs", "fate": "absent in 1.0"},
    )
    min_contributors: MinContributors = MIN_CONTRIBUTORS
    encrypt_param: HomoEncryptParam = Field(default=HomoEncryptParam(), description="of FATE's encrypted host")
    encrypted_mode_calculator_param: EncryptedModeParam = Field(
        default=EncryptedModeParam(), description="of FATE's encrypted host; no effect"
    )

    @property
    def rounds(self) -> int:
        """Averages of a training that nothing stops before its time."""
        return -(-self.max_iter // self.aggregate_iters)

    def epochs_after(self, rounds: int) -> int:
        """Epochs that so many rounds have."""
        return min(rounds * self.aggregate_iters, self.max_iter)

    def looks_after(self, rounds: int) -> bool:
        """Whether held-out rows are looked at after a round, counted from 1."""
        now, before = self.epochs_after(rounds), self.epochs_after(rounds - 1)
        return bool(self.validates) and now // self.validates > before // self.validates


def common_digest(p: HomoLogisticParams) -> Array:
    """SHA-256 of what all parties must have alike."""
    text = p.model_dump_json(exclude=OWN)
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), "|u1")
