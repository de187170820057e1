"""FATE-Serving's return codes, and the HTTP status that goes with each."""

from __future__ import annotations

from enum import IntEnum

from federatedml.errors import ServingError

FROM_HOST = 2000  # FATE: a host's code 113 is the guest's 2113


class Retcode(IntEnum):
    """What a caller can act on. Names and numbers are FATE-Serving's."""

    SUCCESS = 0
    PARAM_ERROR = 100
    FEATURE_ERROR = 102
    MODEL_NULL = 104  # also: the other side serves another version
    NETWORK_ERROR = 105
    ROUTER_ERROR = 106
    SYSTEM_ERROR = 110
    SHUTTING_DOWN = 111
    HOST_FEATURE_NOT_FOUND = 113
    FEATURE_ADAPTOR_ERROR = 116
    SERVICE_NOT_FOUND = 122
    OVERLOAD = 124
    AUTH_FAILED = 129
    INVALID_RESPONSE = 135


_HTTP_STATUS = {
    Retcode.SUCCESS: 200,
    Retcode.PARAM_ERROR: 400,
    Retcode.FEATURE_ERROR: 400,
    Retcode.MODEL_NULL: 503,
    Retcode.NETWORK_ERROR: 504,
    Retcode.ROUTER_ERROR: 503,
    Retcode.SHUTTING_DOWN: 503,
    Retcode.HOST_FEATURE_NOT_FOUND: 404,
    Retcode.FEATURE_ADAPTOR_ERROR: 503,
    Retcode.SERVICE_NOT_FOUND: 404,
    Retcode.OVERLOAD: 503,
    Retcode.AUTH_FAILED: 502,
    Retcode.INVALID_RESPONSE: 502,
}


class ScoreError(ServingError):
    """A request that gets a code and a reason instead of a score. ``FED-7NN`` is retcode 1NN."""

    def __init__(self, retcode: int, message: str, hint: str = "") -> None:
        super().__init__(f"FED-7{retcode % 100:02d}", message, hint)
        self.retcode = retcode

    @classmethod
    def from_host(cls, party: str, retcode: int, message: str) -> ScoreError:
        """What a host answered, in FATE's words."""
        return cls(FROM_HOST + retcode, f"host {party} return code {retcode} host msg :{message}")

    @property
    def http_status(self) -> int:
        """HTTP status; codes that are not in the table are a fault of this server."""
        known = {int(code): status for code, status in _HTTP_STATUS.items() if code != Retcode.SUCCESS}
        return known.get(self.retcode - FROM_HOST if self.retcode >= FROM_HOST else self.retcode, 500)
