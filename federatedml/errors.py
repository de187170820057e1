"""Errors that a person reads: a code, what happened and where, and what to do about it."""

from __future__ import annotations


class FedError(Exception):
    """An error with a stable code.

    Attributes:
        code: for example ``FED-204``; the first digit names the family (1 DSL, 2 data, 3 protocol,
            4 peer, 5 policy, 6 model, 7 serving, 9 internal).
        message: what was wrong and where, with what was found and what is allowed. May cross the
            border to other parties, so it never holds data values.
        hint: what to do, and details that stay at this party.
    """

    family = "FED-9"
    retryable = False

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message if not hint else f"{message} ({hint})")
        self.code, self.message, self.hint = code, message, hint

    def __str__(self) -> str:
        return f"[{self.code}] {super().__str__()}"

    def __reduce__(self) -> tuple[type[FedError], tuple[str, str, str]]:
        """How a worker process of this party tells it."""
        return type(self), (self.code, self.message, self.hint)


class DslError(FedError):
    """The DSL or the conf is not valid; names file, component, key, what was found, what is allowed."""


class DataError(FedError):
    """A table is missing, or lacks or breaks what a component needs of it."""


class ProtocolError(FedError):
    """A message or a call that the component did not declare, or whose content is not what was declared."""


class PeerError(FedError):
    """A peer is not there. May be tried again."""

    retryable = True


class ComputeError(FedError):
    """This party's own workers are not there, or are gone. May be tried again."""

    retryable = True


class PolicyError(FedError):
    """The party's policy does not allow it; names the rule."""


class ModelError(FedError):
    """A model is missing, damaged or not bound."""


class ServingError(FedError):
    """An online request cannot be answered."""


class Skipped(FedError):  # noqa: N818 - not an error of anybody
    """The step will not run, because what it needs failed or was skipped."""


class AttemptEnded(BaseException):
    """The coordinator ended this attempt: join again and start from the checkpoint that it names.

    A ``BaseException``, so that no role function swallows it by ``except Exception``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
