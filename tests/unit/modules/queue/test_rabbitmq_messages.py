"""What messages at the broker mean (04 §11.3)."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from iii.modules.queue.adapter import QueueOrTopic
from iii.modules.queue.config import RabbitmqConfig
from iii.modules.queue.options import NamedQueue, NamedQueueConfig
from iii.modules.queue.rabbitmq.adapter import RabbitmqAdapter
from iii.modules.queue.rabbitmq.broker import BrokerMessage
from iii.modules.queue.rabbitmq.messages import DeadTopicJob, QueueNames, TopicJob, TopicNames, message_of, topic_job
from iii.protocol.errors import EnqueueFailed
from iii.testing import FakeClock, MemoryEngine


def test_dead_letter_without_an_id_has_a_stable_one() -> None:
    message = BrokerMessage(b'{"a":1}', {"function_id": "f", "x-attempt": 3})
    letter = QueueNames("q").letter(message)
    assert letter == QueueNames("q").letter(message)
    assert letter is not None
    assert letter.id.startswith("dlq-")
    assert len(letter.id) == 20
    assert (letter.attempts, letter.error, letter.failed_at) == (3, "Function f exhausted retries", 0)


def test_dead_letter_of_a_topic() -> None:
    job = TopicJob(id="1", topic="t", data=Raw(b"[1]"), attempts_made=3)
    body = msgspec.json.encode(DeadTopicJob(job=job, error="boom: x", exhausted_at=1_760_000_000_000))
    letter = TopicNames("t").letter(BrokerMessage(body, {}))
    assert letter is not None
    assert (letter.id, letter.data, letter.error, letter.attempts) == ("1", b"[1]", "boom: x", 3)
    for nothing in (b"{}", b"\xff", b"[" * 100_000, body.replace(b"[1]", b'"\xff"')):
        assert TopicNames("t").letter(BrokerMessage(nothing, {})) is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"[" * 100_000, b'{"id":"1","topic":"t","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":"1","topic":"t","data":"\xff"}', b'{"id":"1","topic":"\xff","data":1}',
        b'{"id":"1","topic":"t","data":1,"max_attempts":9999999999999999999}',
        b'{"id":"1","topic":"t","data":1,"priority":999}', b'{"id":"%b","topic":"t","data":1}' % (b"i" * 300),
    ],
)  # fmt: skip
def test_what_others_put_into_a_topic(body: bytes) -> None:
    """None of it reaches a worker, or comes back to the broker as something it cannot take."""
    assert topic_job(BrokerMessage(body, {})) is None


def test_headers_of_others_count_within_bounds() -> None:
    body = msgspec.json.encode(TopicJob(id="1", topic="t", data=Raw(b"1"), traceparent='x"y'))
    for value, attempts in ((2, 2), (2**63, 2**31), (-5, 0), ("3", 0), (None, 0)):
        job = topic_job(BrokerMessage(body, {"x-iii-attempts": value}))
        assert job is not None
        assert (job.attempts_made, job.traceparent) == (attempts, None)


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


def test_26_check_12_a_redriven_letter_of_an_observer_begins_anew() -> None:
    job = TopicJob(id="j", topic="t", data=Raw(b"1"), attempts_made=3, baggage="a=b,iii.observe.depth=8")
    body = msgspec.json.encode(DeadTopicJob(job=job, error="LOOP_GUARD: x", exhausted_at=1))
    _, _, message = TopicNames("t").revived(BrokerMessage(body, {}))
    again = topic_job(message)
    assert again is not None
    assert (again.attempts_made, again.baggage) == (0, "a=b,iii.observe.depth=0")


async def test_13_11_a_fifo_queue_takes_no_edited_payload_without_its_group() -> None:
    """As it takes none that is enqueued; the broker is not asked at all."""
    queue = NamedQueue("work", NamedQueueConfig(type="fifo", message_group_field="g"))
    adapter = RabbitmqAdapter(MemoryEngine(FakeClock()).core, RabbitmqConfig(amqp_url="amqp://nowhere.invalid"))
    with pytest.raises(EnqueueFailed, match="requires field 'g'"):
        await adapter.redrive_edited(QueueOrTopic(queue, "work"), "j", b'{"h":1}')
