"""Parameters of ``Intersection``: those of FATE's versions, and ``min_intersection``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from federatedml.component import Params

HashName = Literal["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sm3"]
NO_EFFECT = "no effect"


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class EncodeParams(_Part):
    """How FATE 1.0's ``raw`` hashes ids before it sends them."""

    salt: str = ""
    encode_method: Literal["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = "none"
    base64: bool = Field(default=False, description=NO_EFFECT)


class RawParams(_Part):
    """The same in FATE's later versions."""

    use_hash: bool = Field(default=False, description="no effect: ids never leave in clear")
    salt: str = ""
    hash_method: Literal["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = "none"
    base64: bool = Field(default=False, description=NO_EFFECT)
    join_role: Literal["guest", "host"] = "guest"


class RsaParams(_Part):
    """FATE's, of which the key length has effect: the hash is onto all of Z_n, the blinding uniform."""

    salt: str = Field(default="", description=NO_EFFECT)
    hash_method: HashName = Field(default="sha256", description=NO_EFFECT)
    final_hash_method: HashName = Field(default="sha256", description=NO_EFFECT)
    split_calculation: bool = Field(default=False, description=NO_EFFECT)
    random_base_fraction: float | None = Field(default=None, gt=0, le=1, description=NO_EFFECT)
    key_length: Literal[1024, 2048, 3072, 4096] = Field(
        default=2048, description="the host's RSA key", json_schema_extra={"unit": "bit", "fate": 1024}
    )
    random_bit: int = Field(
        default=128, ge=1, description="least number of random bits; the blinding has all of the key's"
    )


class EcdhParams(_Part):
    """FATE's; points are on Curve25519, and every attempt has its own hash."""

    salt: str = Field(default="", description=NO_EFFECT)
    hash_method: HashName = Field(default="sha256", description=NO_EFFECT)
    curve: Literal["curve25519"] = "curve25519"


class DhParams(_Part):
    """FATE's, for Diffie-Hellman modulo a prime, which runs as ``ecdh``."""

    salt: str = Field(default="", description=NO_EFFECT)
    hash_method: HashName = Field(default="sha256", description=NO_EFFECT)
    key_length: int = Field(default=2048, ge=1024, description=NO_EFFECT)


class IntersectParams(Params):
    """FATE's parameters of all versions and ``min_intersection``; what has no effect here says so."""

    intersect_method: Literal["auto", "ecdh", "kkrt", "dh", "rsa", "raw"] = Field(
        "auto",
        description="auto: ecdh for few ids, lists of very different lengths, or several hosts; kkrt for one host and "
        "many ids. dh runs as ecdh. "
        "rsa: a host's key signs blinded ids. "
        "raw: hashes of ids, which the joining side can try; a party's policy must allow it",
        json_schema_extra={"fate": "rsa"},
    )
    min_intersection: int = Field(
        10,
        ge=1,
        description="with fewer common ids nothing is told",
        json_schema_extra={"unit": "rows", "fate": "absent"},
    )
    only_output_key: bool = Field(False, description="output the common ids without columns")
    cardinality_only: bool = Field(False, description="tell only how many ids are common, by ecdh; no output data")
    is_send_intersect_ids: Literal[True] = Field(True, description="hosts learn which of their ids are common")
    sync_intersect_ids: Literal[True] = Field(True, description="the same in FATE's later versions")
    is_get_intersect_ids: Literal[True] = Field(True, description="this party gets the common ids")
    rsa_params: RsaParams = Field(RsaParams(), description="of rsa")
    random_bit: int = Field(128, ge=1, description="of rsa: least number of random bits; the blinding is uniform")
    raw_params: RawParams = Field(RawParams(), description="of raw")
    join_role: Literal["guest", "host"] = Field("guest", description="of raw: who gets the hashes of the other's ids")
    with_encode: bool = Field(False, description="of raw; no effect: ids never leave in clear, but at least as SHA-256")
    encode_params: EncodeParams = Field(EncodeParams(), description="of raw")
    ecdh_params: EcdhParams = Field(EcdhParams(), description="of ecdh")
    dh_params: DhParams = Field(DhParams(), description="of dh")
    run_cache: bool = Field(
        False, description="hosts keep their ids blinded, for a guest with few that comes often; runs can be linked"
    )
    cache_days: int = Field(7, ge=1, le=366, description="how long", json_schema_extra={"unit": "days"})
    cardinality_method: Literal["rsa", "ecdh"] = Field("ecdh", description="no effect: ecdh counts")
    sync_cardinality: bool = Field(False, description="no effect: hosts are told the number, which they may refuse")
    join_method: Literal["inner_join"] = "inner_join"
    allow_info_share: Literal[False] = False
    repeated_id_process: Literal[False] = Field(False, description="true is not offered: an id has one row")
    with_sample_id: Literal[False] = False
    run_preprocess: Literal[False] = False

    @field_validator("is_send_intersect_ids", "sync_intersect_ids", "is_get_intersect_ids", mode="before")
    @classmethod
    def _told(cls, value: object) -> object:
        if value is False:
            raise ValueError(
                "false is not offered: guest and hosts need the common ids to align their rows; to learn only how many "
                "there are, set cardinality_only"
            )
        return value

    @model_validator(mode="after")
    def _enough_bits(self) -> Self:
        most = self.rsa_params.key_length
        if self.intersect_method == "rsa" and max(self.random_bit, self.rsa_params.random_bit) > most:
            raise ValueError(f"random_bit is more than the {most} bits that blinding modulo this key can have")
        return self

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.run_cache and (self.cardinality_only or self.intersect_method not in ("auto", "ecdh", "dh")):
            raise ValueError("run_cache is for intersect_method auto, ecdh and dh, and not to count only")
        return self

    @property
    def joins_at_guest(self) -> bool:
        """Whether the guest is the one that gets hashes, in method ``raw``."""
        return "host" not in (self.join_role, self.raw_params.join_role)

    @property
    def raw_hash(self) -> tuple[str, str]:
        """Hash function and salt of method ``raw``."""
        named = [self.encode_params.encode_method, self.raw_params.hash_method]
        method = next((name for name in named if name != "none"), "sha256")
        return method, self.encode_params.salt or self.raw_params.salt
