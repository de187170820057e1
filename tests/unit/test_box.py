"""The box lets declared messages pass, between the roles that they name, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from federatedml.errors import ProtocolError
from federatedml.federation.box import AttemptKey, Box, MessageKey
from federatedml.federation.checkpoint import Checkpoint, CheckpointStore
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

MEMBERS = (ARBITER, GUEST, HOST, OTHER_HOST)
UP = Topic("up", (Role.HOST,), (Role.GUEST, Role.ARBITER), Vector("<f8"), Carries.AGGREGATE, "a sum", max_bytes=200)
DOWN = Topic("down", (Role.GUEST,), (Role.HOST,), Vector("<f8"), Carries.CONTROL, "a number")
VALUE = np.array([1.0])


class Mail:
    """A transport that keeps what was sent and gives what was put in."""

    def __init__(self) -> None:
        self.sent: dict[MessageKey, bytes] = {}
        self.waiting: dict[MessageKey, bytes] = {}

    def send(self, key: MessageKey, body: bytes) -> None:
        self.sent[key] = body

    def recv(self, key: MessageKey) -> bytes:
        return self.waiting[key]


def box(me: Member, tmp_path: Path) -> tuple[Box, Mail]:
    mail = Mail()
    attempt = AttemptKey("9999", "job", "step_0", 1, 2)
    return Box(me, MEMBERS, {"up": UP, "down": DOWN}, mail, attempt, CheckpointStore(tmp_path)), mail


def test_a_message_goes_to_every_other_member_of_the_roles(tmp_path: Path) -> None:
    one, mail = box(GUEST, tmp_path)
    one.send(DOWN, VALUE, 3)
    assert set(mail.sent) == {MessageKey("down", 3, GUEST, HOST), MessageKey("down", 3, GUEST, OTHER_HOST)}


def test_a_message_can_go_to_one_member(tmp_path: Path) -> None:
    one, mail = box(HOST, tmp_path)
    one.send(UP, VALUE, to=ARBITER)
    one.send(UP, VALUE, to=GUEST)
    assert set(mail.sent) == {MessageKey("up", 0, HOST, ARBITER), MessageKey("up", 0, HOST, GUEST)}


@pytest.mark.parametrize("to", [OTHER_HOST, HOST, Member(Role.GUEST, "1")])
def test_no_message_goes_to_members_that_the_topic_does_not_name(tmp_path: Path, to: Member) -> None:
    one, mail = box(HOST, tmp_path)
    with pytest.raises(ProtocolError, match="FED-301"):
        one.send(UP, VALUE, to=to)
    assert not mail.sent


def test_roles_send_and_receive_only_their_own_topics(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"FED-301.*guest may not send 'up'"):
        box(GUEST, tmp_path)[0].send(UP, VALUE)
    with pytest.raises(ProtocolError, match=r"FED-301.*arbiter may not receive 'down' from guest_9999"):
        box(ARBITER, tmp_path)[0].recv(DOWN)
    with pytest.raises(ProtocolError, match=r"FED-301.*may not receive 'up' from arbiter_10001"):
        box(GUEST, tmp_path)[0].recv(UP, source=ARBITER)


def test_topics_of_other_components_do_not_pass(tmp_path: Path) -> None:
    one, _ = box(GUEST, tmp_path)
    same_name = Topic("down", DOWN.source, DOWN.to, DOWN.codec, DOWN.carries, DOWN.learns)
    with pytest.raises(ProtocolError, match="FED-300"):
        one.send(same_name, VALUE)
    with pytest.raises(ProtocolError, match="FED-300"):
        one.recv(same_name, source=HOST)


def test_a_key_is_used_once(tmp_path: Path) -> None:
    one, mail = box(GUEST, tmp_path)
    one.send(DOWN, VALUE)
    with pytest.raises(ProtocolError, match=r"FED-303.*round 0"):
        one.send(DOWN, VALUE + 1)
    one.send(DOWN, VALUE + 1, round=1)
    assert len(mail.sent) == 4


def test_messages_over_the_declared_size_pass_neither_way(tmp_path: Path) -> None:
    large = np.zeros(100)
    with pytest.raises(ProtocolError, match=r"FED-302.*at most 200"):
        box(HOST, tmp_path)[0].send(UP, large)
    one, mail = box(GUEST, tmp_path)
    mail.waiting[MessageKey("up", 0, HOST, GUEST)] = UP.codec.encode(large)
    with pytest.raises(ProtocolError, match="FED-302"):
        one.recv(UP, source=HOST)


def test_one_of_several_senders_must_be_named_or_all_are_gathered(tmp_path: Path) -> None:
    one, mail = box(GUEST, tmp_path)
    for number, host in enumerate((HOST, OTHER_HOST)):
        mail.waiting[MessageKey("up", 0, host, GUEST)] = UP.codec.encode(VALUE * number)
    with pytest.raises(ProtocolError, match=r"FED-304.*2 senders"):
        one.recv(UP)
    assert one.recv(UP, source=OTHER_HOST).tolist() == [1.0]
    assert {member: value.tolist() for member, value in one.gather(UP).items()} == {HOST: [0.0], OTHER_HOST: [1.0]}


def test_what_arrives_is_decoded_as_declared(tmp_path: Path) -> None:
    one, mail = box(HOST, tmp_path)
    mail.waiting[MessageKey("down", 0, GUEST, HOST)] = Vector("<u8").encode(np.ones(1, np.uint64))
    with pytest.raises(ProtocolError, match="FED-312"):
        one.recv(DOWN)


def test_checkpoints_metrics_and_progress_are_reported(tmp_path: Path) -> None:
    one, _ = box(HOST, tmp_path)
    seen: list[object] = []
    one.on_checkpoint, one.on_progress = seen.append, lambda *told: seen.append(told)
    one.on_metric = lambda point: seen.append((point.namespace, point.name, point.key, point.value, point.round))
    one.checkpoint(4, {"w": VALUE})
    one.metric("train", "loss", 4, 0.5, round=4)
    one.progress(7.0, "done")
    stored, *others = seen
    assert isinstance(stored, Checkpoint)
    assert (stored.attempt, stored.round) == (2, 4)
    assert one.checkpoints.load(2, 4, stored.digest).state["w"].tolist() == [1.0]  # type: ignore[union-attr]
    assert others == [("train", "loss", 4, 0.5, 4), (1.0, "done")]


def test_contexts_of_different_attempts_differ_even_where_texts_run_together() -> None:
    keys = [
        AttemptKey("9999", "job", "step", 1, 1),
        AttemptKey("9999", "job", "step", 11, 1),
        AttemptKey("9999", "job", "step", 1, 11),
        AttemptKey("9999", "jobs", "tep", 1, 1),
        AttemptKey("999", "9job", "step", 1, 1),
    ]
    assert len({key.context() for key in keys}) == len(keys)
