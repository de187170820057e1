"""What people should know of the encryption that a conf asks for, and of what has no effect, before it runs."""

from __future__ import annotations

from collections.abc import Iterator

from federatedml.components.lr_params import EncryptedModeParam, EncryptParam, PredictParam
from federatedml.crypto.paillier.keys import DEFAULT_BITS


def encryption_notes(encryption: EncryptParam, mode: EncryptedModeParam) -> Iterator[str]:
    """Modes that run as another one, keys that are short."""
    if mode.mode != "strict":
        yield f"encrypted_mode_calculator_param.mode {mode.mode!r} runs as 'strict': no ciphertext is used again"
    if encryption.key_length < DEFAULT_BITS:
        yield f"encrypt_param.key_length {encryption.key_length} is short: {DEFAULT_BITS} is the least to rely on"


def prediction_notes(prediction: PredictParam) -> Iterator[str]:
    """What a prediction has whatever the conf says."""
    if not prediction.with_proba:
        yield "predict_param.with_proba has no effect: a table of predictions always has the probabilities"
