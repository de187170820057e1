"""The chaos benchmark's own parts: what is drawn from a seed, and how results are compared."""

from collections import Counter

from benchmarks.chaos import figures
from benchmarks.faults.judge import differences
from benchmarks.faults.trial import KINDS, PHASES, trials


def test_a_seed_names_its_trials() -> None:
    found = list(trials(4, KINDS))
    assert found == list(trials(4, KINDS))
    assert found != list(trials(5, KINDS))
    assert Counter(trial.kind for trial in found) == KINDS
    assert len({trial.name for trial in found}) == len(found)


def test_fewer_trials_are_the_first_of_them() -> None:
    few = list(trials(4, {"task": 5, "cut": 2}))
    assert [trial for trial in trials(4, KINDS) if trial.name in {t.name for t in few}] == few


def test_kill_points_cover_the_job() -> None:
    phases = Counter(trial.phase for trial in trials(4, KINDS))
    assert set(phases) == {"", "conclude", *PHASES}
    assert {trial.party for trial in trials(4, KINDS)} == {"guest", "host", "arbiter"}
    assert any(trial.again for trial in trials(4, KINDS))
    assert {trial.busy for trial in trials(4, {"worker": 8})} == {True, False}


def test_differences_are_found_and_named() -> None:
    expected = {"guest/add_0": {"summary": {"sum": 3.0}, "digests": {"train": "ab"}, "list": [1.0, 2.0]}}
    assert differences(expected, expected, 0.0) == []
    near = {"guest/add_0": {"summary": {"sum": 3.0009}, "digests": {"train": "ab"}, "list": [1.0, 2.0]}}
    assert differences(near, expected, 0.001) == []
    assert differences(near, expected, 0.0) == ["/guest/add_0/summary/sum: 3.0009 instead of 3.0"]
    other = {"guest/add_0": {"summary": {"sum": 3.0}, "digests": {"train": "cd"}, "list": [1.0]}}
    assert [line.partition(":")[0] for line in differences(other, expected, 1.0)] == [
        "/guest/add_0/digests/train",
        "/guest/add_0/list",
    ]
    assert differences({}, expected, 1.0) == ["/guest/add_0 is only in one of the results"]
    nothing = {"guest/add_0": {"summary": {"sum": float("nan")}, "digests": {"train": "ab"}, "list": [1.0, 2.0]}}
    assert differences(nothing, expected, 1.0) != []


def test_figures_count_what_went_wrong() -> None:
    good = {"kind": "task", "missed": "", "consistent": True, "equal": True, "noticed": 0.1, "again": 1.0}
    lines = [good, {**good, "equal": False, "again": 11.0}, {**good, "missed": "gone", "noticed": None, "again": None}]
    found = {figure.name: figure for figure in figures(lines)}
    assert found["task: consistent at all parties"].value == 100.0
    assert round(found["task: with the undisturbed job's results"].value) == 67
    assert found["task: running again, slowest"].value == 11.0
    assert found["task: consistent at all parties"].note == "3 trials, 2 hit"
