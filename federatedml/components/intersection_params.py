"""Parameters of ``Intersection``: FATE's names, and ``min_intersection``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from federatedml.component import Params


class EncodeParams(BaseModel):
    """How FATE's ``raw`` method hashes ids before it sends them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    salt: str = ""
    encode_method: Literal["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = "none"
    base64: bool = False


class IntersectParams(Params):
    """FATE's parameters and ``min_intersection``. What only FATE's other methods use is accepted without effect."""

    intersect_method: Literal["auto", "ecdh"] = Field(
        "auto", description="auto: ecdh. FATE's rsa and raw are refused: rsa's blinding is broken, raw tells ids"
    )
    min_intersection: int = Field(
        10, ge=1, description="with fewer common ids nothing is told", json_schema_extra={"unit": "rows"}
    )
    only_output_key: bool = Field(False, description="output the common ids without columns")
    is_send_intersect_ids: bool = Field(True, description="hosts learn which of their ids are common")
    is_get_intersect_ids: bool = Field(True, description="this party gets the common ids")
    random_bit: int = Field(128, ge=1, description="of FATE's rsa; no effect")
    join_role: Literal["guest", "host"] = Field("guest", description="of FATE's raw; no effect")
    with_encode: bool = Field(False, description="of FATE's raw; no effect, ids never leave in clear")
    encode_params: EncodeParams = Field(EncodeParams(), description="of FATE's raw; no effect")

    @field_validator("intersect_method", mode="before")
    @classmethod
    def _supported(cls, value: Any) -> Any:
        if value in ("rsa", "raw"):
            raise ValueError(f"{value!r} is not offered yet: auto or ecdh finds the same ids and tells less")
        return value

    @field_validator("is_send_intersect_ids", "is_get_intersect_ids")
    @classmethod
    def _told(cls, value: bool) -> bool:
        if not value:
            raise ValueError("false is not offered: guest and hosts need the common ids to align their rows")
        return value
