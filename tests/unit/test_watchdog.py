"""When the queue of a scheduler counts as stuck."""

from airfed.watchdog import Queue, QueueWatch


def queue() -> Queue:
    return Queue(patience=20.0, longest=60.0)


def test_a_queue_that_stands_still_while_slots_are_free_is_stuck() -> None:
    watched = queue()
    assert not watched.look({"a"}, True, 100.0)
    assert not watched.look({"a", "b"}, True, 119.9)
    assert watched.look({"a", "b"}, True, 120.0) == "2 tasks queued, for up to 20 s, although slots are free"


def test_an_empty_queue_is_not_stuck() -> None:
    watched = queue()
    assert not any(watched.look((), True, now) for now in range(0, 1000, 100))


def test_tasks_that_wait_for_a_slot_are_not_stuck() -> None:
    watched = queue()
    assert not any(watched.look({"a"}, False, float(now)) for now in range(0, 1000, 5))
    assert not watched.look({"a"}, True, 1000.0), "its time begins when there is a slot"
    assert watched.look({"a"}, True, 1020.0)


def test_a_queue_that_moves_is_not_stuck() -> None:
    watched = queue()
    waiting = [str(number) for number in range(10)]
    for turn in range(10):
        assert not watched.look(waiting[turn:], True, 5.0 * turn)


def test_a_task_that_others_overtake_for_long_is_stuck() -> None:
    watched = queue()
    looks = [watched.look({"forgotten", str(now)}, True, now) for now in (0.0, 15.0, 30.0, 45.0, 60.0)]
    assert [bool(look) for look in looks] == [False, False, False, False, True]


def test_what_was_seen_before_an_outage_says_nothing() -> None:
    watched = queue()
    watched.look({"a"}, True, 0.0)
    watched.forget()
    assert not watched.look({"a"}, True, 100.0)


def test_schedulers_are_replaced_at_most_once_a_minute() -> None:
    watch = QueueWatch()
    assert [watch.may_replace(now) for now in (1.0, 2.0, 60.9, 61.0, 120.9, 121.0)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]
