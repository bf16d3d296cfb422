"""What messages at the broker mean (04 §11.3)."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from iii.modules.queue.adapters.amqp import Message
from iii.modules.queue.adapters.rabbitmq_messages import (
    DeadTopicJob,
    TopicJob,
    TopicNames,
    dead_letter,
    dead_topic_letter,
    message_of,
)


def test_dead_letter_without_an_id_has_a_stable_one() -> None:
    message = Message(b'{"a":1}', {"function_id": "f", "x-attempt": 3})
    letter = dead_letter(message)
    assert letter == dead_letter(message)
    assert letter.id.startswith("dlq-")
    assert len(letter.id) == 20
    assert (letter.attempts, letter.error, letter.failed_at) == (3, "Function f exhausted retries", 0)


def test_dead_letter_of_a_topic() -> None:
    job = TopicJob(id="1", topic="t", data=Raw(b"[1]"), attempts_made=3)
    body = msgspec.json.encode(DeadTopicJob(job=job, error="boom: x", exhausted_at=1_760_000_000_000))
    letter = dead_topic_letter(Message(body, {}))
    assert (letter.id, letter.data, letter.error, letter.attempts) == ("1", b"[1]", "boom: x", 3)
    with pytest.raises(msgspec.MsgspecError):
        dead_topic_letter(Message(b"{}", {}))


def test_message_of_a_topic() -> None:
    message = message_of(TopicJob(id="1", topic="t", data=Raw(b"7"), attempts_made=2, created_at=5))
    assert message.headers == {
        "x-iii-job-id": "1", "x-iii-attempts": 2, "x-iii-max-attempts": 3, "x-iii-created-at": 5,
    }  # fmt: skip
    assert msgspec.json.decode(message.body)["data"] == 7


def test_names_cannot_collide() -> None:
    one, two = TopicNames("a", "b@c", "d"), TopicNames("a", "b", "c@d")
    assert one.queue != two.queue
    assert one.queue == "iii.a.b\\@c@d.queue"
