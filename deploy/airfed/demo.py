"""``airfed demo``: three parties on this machine, one job from a DSL file to a federated score over REST."""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from airfed import proc
from airfed.airflow_config import PEOPLE
from airfed.demo_data import DemoData, breast
from airfed.demo_job import Finished, run_job
from airfed.demo_parties import make_homes, put_tables, running
from airfed.demo_score import (
    central,
    curl,
    example_folder,
    federated,
    in_clear,
    predictions,
    run_curl,
    score_request,
    wait_until_served,
)
from airfed.demo_screen import Screen
from airfed.party import passwords
from airfed.state import Condition, Supervision
from federatedml.components.lr_params import LogisticParams
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

AUC_TOLERANCE = 0.005  # against scikit-learn: another optimiser, another strength of the penalty
STEPS_TOLERANCE = 0.001  # against the same steps in clear
INTERRUPTED = 130
MLFLOW_RUNS = "#/experiments?workflowType=machine_learning"  # without it MLflow opens on its pages for chat models


def run_demo(root: Path, base_port: int, once: bool) -> int:
    """Run the demo below ``root``; 0 if everything was as it should be.

    Raises:
        FedError: another demo runs there, or a part of it failed; everything is stopped by then.
    """
    screen = Screen()
    with _owned(root), _interruptible():
        try:
            example_folder()  # if it is not there, nothing is started
            data = breast()
            homes = make_homes(root, base_port)
            put_tables(homes, data)
            good = _in_parties(homes, data, screen, once)
        except KeyboardInterrupt:
            screen.say("\nstopped; no process is left")
            return INTERRUPTED if once else 0
    screen.say("\nstopped; no process is left")
    return 0 if good else 1


def _in_parties(homes: Mapping[str, PartyHome], data: DemoData, screen: Screen, once: bool) -> bool:
    begun = time.monotonic()
    with ExitStack() as stack:
        with screen.board(
            "Starting three parties, each with its own Airflow, MLflow and gateway", list(homes)
        ) as board:
            stack.enter_context(running(homes, lambda home, found: board.show(_started(home, found))))
        screen.say(f"  all ready after {time.monotonic() - begun:.0f} s")
        _, good = main_job(homes, data, screen)
        if not once:
            screen.say("\nrunning until Ctrl-C")
            signal.pause()
    return good


def main_job(homes: Mapping[str, PartyHome], data: DemoData, screen: Screen) -> tuple[Finished, bool]:
    """From the DSL file to the score, at parties that are ready; the job, and whether all was as it should be."""
    screen.heading("Dropping examples/hetero_lr into the guest's folder")
    finished = run_job(homes["guest"], example_folder(), screen)
    good = _verdict(finished, screen) and _compare(homes["guest"], data, finished, screen)
    _where_to_look(homes, screen)
    return finished, good and _score(homes["guest"], data, finished, screen)


def _verdict(finished: Finished, screen: Screen) -> bool:
    failure = finished.view.failure
    if finished.success:
        screen.say(f"  success at all parties {finished.took:.1f} s after it was submitted")
        return True
    who = f"{failure.member.role} {failure.member.party_id}, {failure.component}"
    screen.say(f"  {finished.view.state}: [{failure.code}] {failure.message} ({who})")
    return False


def _compare(guest: PartyHome, data: DemoData, finished: Finished, screen: Screen) -> bool:
    """AUC and KS beside models that saw all columns in one place."""
    spec = finished.spec
    member = spec.parties.initiator
    p = LogisticParams.model_validate(spec.params["hetero_lr_0"][member])
    order = [str(sample) for sample in predictions(guest, finished.job_id, "hetero_lr_0").ids]
    ours = federated(guest, f"{spec.pipeline}@{member.role}-{member.party}", finished.job_id, "evaluation_0")
    pooled, clear = central(data), in_clear(data, order, p)
    screen.heading(f"Quality on the {len(order)} rows that guest and host share")
    rows = [[each.name, f"{each.auc:.4f}", f"{each.ks:.4f}"] for each in (ours, clear, pooled)]
    screen.table(["model", "AUC", "KS"], rows)
    return abs(ours.auc - pooled.auc) <= AUC_TOLERANCE and abs(ours.auc - clear.auc) <= STEPS_TOLERANCE


def _where_to_look(homes: Mapping[str, PartyHome], screen: Screen) -> None:
    screen.heading("Where to look")
    rows = []
    for name, home in homes.items():
        ports = home.config.ports
        rows.append([name, "Airflow", home.public_url(ports.airflow), f"{PEOPLE} / {passwords(home)[PEOPLE]}"])
        rows.append([name, "MLflow", f"{home.public_url(ports.mlflow)}/{MLFLOW_RUNS}", ""])
        if home.config.serving:
            rows.append([name, "scores (OpenAPI)", f"{home.public_url(ports.serving_http)}/docs", ""])
    screen.table(["party", "page", "URL", "login"], rows)


def _score(guest: PartyHome, data: DemoData, finished: Finished, screen: Screen) -> bool:
    """One federated score over REST: it must be the batch prediction of that row, bit for bit."""
    batch = predictions(guest, finished.job_id, "hetero_lr_0")
    sample, expected = str(batch.ids[0]), float(batch.columns["predict_score"][0])
    wait_until_served(guest, finished.job_id)
    line = curl(f"{guest.serving_url}/federation/v1/inference", score_request(data, sample, finished.spec.model_key))
    answer = run_curl(line)
    score = answer["data"].get("score")
    screen.heading(f"A federated score of {sample}: its columns at the guest, only its id to the host")
    screen.say(line)
    screen.say(f"  online {score!r}, batch prediction {expected!r}: {'equal' if score == expected else 'NOT EQUAL'}")
    if score is None:
        screen.say(f"  {answer['retcode']}: {answer['retmsg']}")
    return bool(score == expected)


def _started(home: PartyHome, found: Supervision) -> dict[tuple[str, str], str]:
    ready = Condition.READY
    return {
        (r.name, home.config.name): f"ready, {r.ready_after} s" if r.condition is ready else str(r.condition)
        for r in found.records
    }


@contextmanager
def _owned(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (root / "demo.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "airfed demo --home OTHER --base-port OTHER runs a second one"
            raise FedError("FED-930", f"a demo already runs in {root}", hint) from None
        yield


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal are like Ctrl-C; while everything is being stopped, a second changes nothing."""

    def interrupt(_sign: int, _frame: FrameType | None) -> None:
        for sign in signs:
            signal.signal(sign, signal.SIG_IGN)
        raise KeyboardInterrupt

    signs = proc.ending()
    before = {sign: signal.signal(sign, interrupt) for sign in signs}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
