"""What people should know of an intersection's parameters before it runs."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from federatedml.components.intersection_params import NO_EFFECT, IntersectParams

LEAST_KEY_BITS = 2048


def notes(p: IntersectParams) -> list[str]:
    """In the words of the conf: what runs otherwise than FATE would, and what has no effect."""
    return [*_method(p), *(f"{name} has {NO_EFFECT}" for name in idle(p))]


def _method(p: IntersectParams) -> Iterator[str]:
    bits = p.rsa_params.key_length
    if p.intersect_method == "dh" and not p.cardinality_only:
        yield "intersect_method 'dh' runs as 'ecdh'"
    if p.intersect_method == "raw":
        yield f"intersect_method 'raw' lets the {'guest' if p.joins_at_guest else 'host'} find any id by trying it"
    if p.intersect_method == "rsa":
        least = max(p.random_bit, p.rsa_params.random_bit)
        yield f"random_bit {least} is taken as a minimum: ids are blinded by {bits} random bits"
    if p.intersect_method == "rsa" and bits < LEAST_KEY_BITS:
        yield f"rsa_params.key_length {bits} is short: {LEAST_KEY_BITS} is the least to rely on"


def idle(model: BaseModel, path: str = "") -> Iterator[str]:
    """Paths of parameters that are not at their default, and whose description says that they have no effect."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from idle(value, f"{path}{name}.")
        elif NO_EFFECT in (field.description or "") and value != field.default:
            yield path + name
