"""End a job: a person of one party wants it, its coordinator decides, all parties hear of it."""

from __future__ import annotations

import getpass
import os

from airfed.job import view
from airfed.job_watch import has_ended, watch
from airfed_proto.v1 import local_pb2
from federated_operators.gateway.client import GatewayClient
from federatedml.errors import PeerError
from federatedml.federation.home import PartyHome

VERDICT = 60.0  # seconds until a verdict must be known here


def kill(home: PartyHome, job_id: str, reason: str = "") -> local_pb2.JobView:
    """End a job and wait for its verdict, which may be another one that was faster. One that has ended stays so.

    Raises:
        FedError: there is no such job here, or policy does not allow it.
        PeerError: the verdict is not known in time; it will be, when the initiator answers.
    """
    found = view(home, job_id)
    if has_ended(found):
        return found
    with GatewayClient(home.socket) as client:
        client.end_job(local_pb2.EndJobRequest(job=found.job, by=person(), reason=reason))
    last = watch(home, job_id, has_ended, VERDICT, lambda: None)
    if not has_ended(last):
        text = f"party {found.job.initiator}, which decides, has not ended job {job_id} within {VERDICT:.0f} s"
        raise PeerError("FED-935", text, "it is told again and again; airfed job show says when it has ended")
    return last


def abandon(home: PartyHome, job_id: str, reason: str = "") -> local_pb2.JobView:
    """Give up a job whose initiator does not answer, at this party only; its verdict is unknown until then.

    Raises:
        FedError: there is no such job here, or its initiator answers.
    """
    found = view(home, job_id)
    with GatewayClient(home.socket) as client:
        client.abandon(local_pb2.EndJobRequest(job=found.job, by=person(), reason=reason))
    return view(home, job_id)


def person() -> str:
    """The name of the user who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without that user
        return f"user {os.getuid()}"
