"""Topics: who gets what is published, and when (04 §4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.modules.queue.house import House, Log

BOOM = RuntimeError("it broke")


async def test_each_function_gets_each_message_once(house: House) -> None:
    """04 check 24."""
    a, b = Log(house, "a"), Log(house, "b")
    a.worker.bind("ta", "durable:subscriber", "a", {"topic": "t"})
    b.worker.bind("tb", "durable:subscriber", "b", {"topic": "t"})
    house.publish("t", {"msg": "hello"})
    assert a.seen == b.seen == [{"msg": "hello"}]


async def test_triggers_on_one_function_compete(house: House) -> None:
    """04 check 25."""
    a, b = Log(house, "a"), Log(house, "b")
    a.worker.bind("a1", "durable:subscriber", "a", {"topic": "t"})
    b.worker.bind("b1", "durable:subscriber", "b", {"topic": "t"})
    b.worker.bind("b2", "durable:subscriber", "b", {"topic": "t"})
    for number in range(5):
        house.publish("t", number)
    assert a.seen == b.seen == [0, 1, 2, 3, 4]
    assert house.stats("t")["consumer_count"] == 3


async def test_unregistered_function_gets_no_more(house: House) -> None:
    """04 check 26; what was published before is kept for its return."""
    a, b = Log(house, "a"), Log(house)
    a.worker.bind("ta", "durable:subscriber", "a", {"topic": "t"})
    b.worker.bind("tb", "durable:subscriber", "b", {"topic": "t"})
    house.publish("t", "kept")
    b.worker.say({"type": "unregistertrigger", "id": "tb"})
    house.publish("t", "for a")
    b.worker.register("b")
    assert a.seen == ["kept", "for a"]
    assert b.seen == []
    b.worker.bind("tb", "durable:subscriber", "b", {"topic": "t"})
    assert b.seen == ["kept"]


async def test_condition_decides(house: House) -> None:
    """04 check 27, T7."""
    plain, filtered, condition = Log(house, "plain"), Log(house, "filtered"), Log(house, "important")
    condition.answers = lambda data: None if data == "null" else data["category"] == "important"
    plain.worker.bind("p", "durable:subscriber", "plain", {"topic": "t"})
    filtered.worker.bind("f", "durable:subscriber", "filtered", {"topic": "t", "condition_function_id": "important"})
    for data in ({"category": "spam"}, {"category": "important"}, "null"):
        house.publish("t", data)
    assert filtered.seen == [{"category": "important"}, "null"]
    assert len(plain.seen) == 3
    assert house.stats("t")["depth"] == house.stats("t")["dlq_depth"] == 0


async def test_condition_that_fails_is_a_failed_attempt(house: House) -> None:
    """04 §4.5, T7: its error and its silence of 30 s."""
    target, condition = Log(house, "f"), Log(house, "c")
    config = {"topic": "t", "condition_function_id": "c", "queue_config": {"maxRetries": 1, "backoffDelayMs": 10}}
    target.worker.bind("f", "durable:subscriber", "f", config)
    condition.answers = lambda data: BOOM
    house.publish("t", 1)
    house.clock.advance(1)
    assert [letter["error"] for letter in house.dead("t")] == ["boom: Condition function error: boom: it broke"]
    condition.answers = lambda data: ...
    house.publish("t", 2)
    house.clock.advance(100)
    assert "c took longer than 30 s" in house.dead("t")[0]["error"]
    assert target.seen == []
    assert len(condition.seen) == 4


@pytest.mark.parametrize(
    ("config", "gaps"),
    [
        ({}, [1000, 2000]),
        ({"queue_config": {"maxRetries": 0}}, []),
        ({"queue_config": {"maxRetries": 3, "backoffDelayMs": 10}}, [10, 20, 40]),
        ({"max_retries": 1, "backoff_ms": 5, "queue_config": {"maxRetries": 3}}, [5]),
        ({"queue_config": {"max_retries": 1, "backoff_ms": 5, "concurrency": "many"}}, [5]),
    ],
)
async def test_attempts_of_a_subscriber(house: House, config: dict[str, Any], gaps: list[int]) -> None:
    """04 check 28, C11, §4.4."""
    log = Log(house, "f")
    log.answers = lambda data: BOOM
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t", **config})
    house.publish("t", {"a": 1})
    house.clock.advance(10)
    assert log.gaps_ms() == pytest.approx(gaps, abs=2)
    assert house.stats("t")["dlq_depth"] == 1


async def test_what_cannot_be_published(house: House) -> None:
    """04 check 29."""
    assert house.error("iii::durable::publish", {"topic": "", "data": 1}) == ("topic_not_set", "Topic is not set")
    for function_id in ("iii::durable::publish", "enqueue"):
        code, text = house.error(function_id, {"topic": "t"})
        assert code == "deserialization_error"
        assert text == f"Failed to deserialize input for {function_id}: missing field `data`"


async def test_names_of_both_generations(house: House) -> None:
    """04 check 30, C12."""
    old, new = Log(house, "old"), Log(house, "new")
    old.worker.bind("o", "queue", "old", {"topic": "t"})
    new.worker.bind("n", "durable:subscriber", "new", {"queue": "t"})
    house.publish("t", 1, "enqueue")
    house.publish("t", 2)
    assert house.caller.call("enqueue", {"queue": "t", "data": 3}).get("error") is None
    assert old.seen == new.seen == [1, 2, 3]


async def test_messages_wait_for_a_subscriber_that_is_away(house: House) -> None:
    """04 check 31, §4.3: they take no attempt; a new connection with other trigger ids gets them in order."""
    log = Log(house, "f", name="w")
    log.worker.bind("first", "durable:subscriber", "f", {"topic": "t", "queue_config": {"concurrency": 1}})
    log.worker.drop()
    for number in range(3):
        house.publish("t", number)
    house.clock.advance(1000)
    assert house.stats("t")["depth"] == 3
    again = Log(house, "f", name="w")
    again.worker.bind("second", "durable:subscriber", "f", {"topic": "t", "queue_config": {"concurrency": 1}})
    assert again.seen == [0, 1, 2]


async def test_crash_keeps_subscribers_and_messages(house: House) -> None:
    """04 §4.3 rule 1, §7.2."""
    log = Log(house, "f")
    log.worker.bind("a", "durable:subscriber", "f", {"topic": "t", "queue_config": {"type": "fifo"}})
    log.answers = lambda data: ...
    house.publish("t", "running")
    house.publish("t", "waiting")
    await house.crash()
    house.publish("t", "new")
    log = Log(house, "f")
    log.worker.bind("b", "durable:subscriber", "f", {"topic": "t", "queue_config": {"type": "fifo"}})
    assert log.seen == ["running", "waiting", "new"]


async def test_namespaces_are_destinations_of_their_own(house: House) -> None:
    """04 check 32."""
    orders, analytics = Log(house, "f", namespace="orders"), Log(house, "f", namespace="analytics")
    orders.worker.bind("o", "durable:subscriber", "f", {"topic": "t"}, namespace="orders")
    analytics.worker.bind("a", "durable:subscriber", "f", {"topic": "t"}, namespace="analytics")
    house.publish("t", 1)
    assert orders.seen == analytics.seen == [1]


@pytest.mark.parametrize("config", [{}, {"topic": ""}, {"topic": 7}, "text", [1]])
@pytest.mark.parametrize("kind", ["queue", "durable:subscriber"])
async def test_trigger_without_topic(house: House, config: Any, kind: str) -> None:
    """04 check 33 as T2 reads it."""
    worker = house.worker("f")
    worker.bind("x", kind, "f", config)
    (answer,) = worker.heard("triggerregistrationresult")
    assert answer["error"]["code"] == "trigger_registration_failed"
    assert answer["error"]["message"] == f"topic is required for {kind} triggers"
    assert house.engine.core.bindings.get("x") is None


async def test_topic_with_a_long_name(house: House) -> None:
    """04 §4.2."""
    worker = house.worker("f")
    worker.bind("x", "queue", "f", {"topic": "t" * 256})
    (answer,) = worker.heard("triggerregistrationresult")
    assert answer["error"]["message"].startswith("a topic has at most 255 characters, this one ")


async def test_topic_without_subscribers_keeps_its_messages() -> None:
    """04 §4.3 rule 3, C12: the first subscriber gets them; beyond the bound the oldest go."""
    house = House(held_messages=3)
    await house.start()
    for number in range(5):
        house.publish("t", number)
    house.publish("other", "x")
    assert house.stats("t")["depth"] == 3
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    assert log.seen == [2, 3, 4]
    house.publish("t", 5)
    assert log.seen == [2, 3, 4, 5]


async def test_fifo_topic_is_serial_and_retries_in_place(house: House) -> None:
    """04 §5.3, §6."""
    log = Log(house, "f")
    log.answers = lambda data: BOOM if len(log.seen) < 3 else None
    config = {"type": "fifo", "backoffDelayMs": 10}
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t", "queue_config": config})
    for number in range(3):
        house.publish("t", number)
    house.clock.advance(1)
    assert log.seen == [0, 0, 0, 1, 2]


async def test_fifo_topic_with_groups(house: House) -> None:
    """04 §4.4: with a group field, groups side by side."""
    log = Log(house, "f")
    log.answers = lambda data: ...
    config = {"type": "fifo", "message_group_field": "g", "concurrency": 2}
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t", "queue_config": config})
    for group, seq in (("a", 0), ("a", 1), ("b", 2), ("c", 3)):
        house.publish("t", {"g": group, "seq": seq})
    assert [data["seq"] for data in log.seen] == [0, 2]


async def test_concurrency_of_triggers_adds_up_and_zero_pauses(house: House) -> None:
    """04 §4.4, §6."""
    log = Log(house, "f")
    log.answers = lambda data: ...
    log.worker.bind("1", "durable:subscriber", "f", {"topic": "t", "queue_config": {"concurrency": 0}})
    for number in range(5):
        house.publish("t", number)
    assert log.seen == []
    assert house.stats("t")["paused"] is True
    log.worker.bind("2", "durable:subscriber", "f", {"topic": "t", "queue_config": {"concurrency": 2}})
    assert log.seen == [0, 1]
    assert house.stats("t")["paused"] is False
    log.worker.bind("3", "durable:subscriber", "f", {"topic": "t", "queue_config": {"concurrency": 1}})
    assert log.seen == [0, 1, 2]


async def test_delay_of_a_subscriber(house: House) -> None:
    """Issue 6."""
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t", "queue_config": {"delayMs": 500}})
    house.publish("t", 1)
    assert log.seen == []
    house.clock.advance(0.501)
    assert log.seen == [1]


async def test_missing_function_of_a_subscriber(house: House) -> None:
    """04 §5.4: held by default, failed if the subscriber wants that."""
    worker = house.worker()
    worker.bind("h", "durable:subscriber", "held", {"topic": "h"})
    fail = {"missingTarget": "fail", "maxRetries": 1, "backoffDelayMs": 10}
    worker.bind("f", "durable:subscriber", "failed", {"topic": "f", "queue_config": fail})
    house.publish("h", 1)
    house.publish("f", 1)
    house.clock.advance(100)
    assert house.stats("h")["depth"] == 1
    assert [letter["retries"] for letter in house.dead("f")] == [2]


async def test_binding_metadata_goes_with_the_message(house: House) -> None:
    """I9."""
    worker = house.worker("f")
    worker.bind("f", "durable:subscriber", "f", {"topic": "t"}, metadata={"m": 1})
    house.publish("t", 1)
    assert worker.invocations()[0]["metadata"] == {"m": 1}


@pytest.mark.parametrize(
    "config", [{"delivery": "compete"}, {"topic_configs": {"t": {"delivery": "compete"}}}], ids=["all", "topic"]
)
async def test_one_delivery_in_all_where_it_is_wanted(config: dict[str, Any]) -> None:
    """C12: as up to 0.10, all functions of a topic compete; what waits goes to whoever comes."""
    house = House(**config)
    await house.start()
    house.publish("t", "early")
    a, b = Log(house, "a"), Log(house, "b")
    a.worker.bind("a", "queue", "a", {"topic": "t"})
    b.worker.bind("b", "queue", "b", {"topic": "t"})
    for number in range(4):
        house.publish("t", number)
    assert sorted(map(str, a.seen + b.seen)) == ["0", "1", "2", "3", "early"]
    assert len(b.seen) == 2
    a.worker.drop()
    house.publish("t", "to b")
    assert b.seen[-1] == "to b"


async def test_delivery_that_is_changed_between_two_starts(house: House) -> None:
    """C12: what waits is neither lost nor left with nobody, whichever way it was delivered before."""
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    log.worker.drop()
    house.publish("t", 1)
    house.config = {"delivery": "compete"}
    await house.crash()
    house.publish("t", 2)
    log = Log(house, "g")
    log.worker.bind("g", "durable:subscriber", "g", {"topic": "t"})
    assert log.seen == [1, 2]
    log.worker.drop()
    house.publish("t", 3)
    house.config = {}
    await house.crash()
    house.publish("t", 4)
    log = Log(house, "h")
    log.worker.bind("h", "durable:subscriber", "h", {"topic": "t"})
    assert log.seen == [3, 4]
    assert house.stats("t")["depth"] == 0


async def test_retention(house: House) -> None:
    """04 §4.3 rule 4: messages for subscribers that stay away go after a time, if the topic says so."""
    house = House(topic_configs={"t": {"retention_ms": 10_000}})
    await house.start()
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    log.worker.drop()
    house.publish("t", "old")
    house.publish("kept", "x")
    house.clock.advance(9)
    house.publish("t", "young")
    assert house.stats("t")["depth"] == 2
    house.clock.advance(12)
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    assert log.seen == []
    house.publish("t", "now")
    assert log.seen == ["now"]
    assert house.stats("kept")["depth"] == 1


async def test_trigger_that_moves_to_another_topic(house: House) -> None:
    """T4: the same id again replaces it."""
    log = Log(house, "f")
    log.worker.bind("x", "durable:subscriber", "f", {"topic": "one"})
    log.worker.bind("x", "durable:subscriber", "f", {"topic": "two"})
    house.publish("one", 1)
    house.publish("two", 2)
    assert log.seen == [2]


async def test_subscriber_that_will_not_come_back(house: House) -> None:
    """04 §4.3 rule 1: somebody ends its subscription; what waits is there if it comes all the same."""
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    request = {"topic": "t", "function_id": "f"}
    row = {"function_id": "f", "namespace": "default", "triggers": 1}
    assert house.stats("t")["destinations"] == [row]
    assert house.call("iii::queue::unsubscribe", **request)["unsubscribed"] is False  # it is here
    log.worker.drop()
    house.publish("t", 1)
    assert house.stats("t")["destinations"] == [{**row, "triggers": 0}]
    assert house.call("iii::queue::unsubscribe", **request) == {**request, "unsubscribed": True}
    assert house.stats("t")["destinations"] == []
    house.publish("t", "for whoever comes first")
    await house.crash()
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    house.clock.advance(1)
    assert log.seen == [1, "for whoever comes first"]


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"queue_config": {"concurency": 5}}, "member=concurency, hint=\"did you mean 'concurrency'?\""),
        (
            {"queue_config": {"concurrency": "x"}},
            "value is not valid (trigger=f, function=f, setting=concurrency, value=x)",
        ),
        ({"queue_config": {"type": "lifo"}}, "value is not valid (trigger=f, function=f, setting=type, value=lifo)"),
        ({"concurrency": 4}, 'member=concurrency, hint="known: '),
        ({"queue_config": [5]}, "setting=queue_config, value=[5])"),
        ({"condition_function_id": 5}, "setting=condition_function_id, value=5)"),
        ({"max_retries": "5"}, "setting=max_retries, value=5)"),
        ({"queue_config": {"delaySeconds": 5}}, 'setting=delaySeconds, instead="`delayMs` is the time '),
        ({"queue_config": {"backoffType": "fixed"}}, 'setting=backoffType, instead="each pause is twice the one '),
    ],
)
async def test_settings_that_do_not_count_are_told_of(
    house: House, caplog: pytest.LogCaptureFixture, config: dict[str, Any], text: str
) -> None:
    """04 §4.4: they are no reason to refuse a subscription."""
    log = Log(house, "f")
    log.worker.bind("f", "durable:subscriber", "f", {"topic": "t", **config})
    assert text in caplog.text
    house.publish("t", 1)
    assert log.seen == [1]


@pytest.mark.parametrize("config", [{"backoffType": "exponential", "maxPriority": 0}, {"delaySeconds": 0}, {}, None])
async def test_settings_that_change_nothing_are_not_told_of(
    house: House, caplog: pytest.LogCaptureFixture, config: dict[str, Any] | None
) -> None:
    """04 §4.4: published clients write defaults out."""
    Log(house, "f").worker.bind("f", "durable:subscriber", "f", {"topic": "t", "queue_config": config})
    assert caplog.text == ""


async def test_settings_that_earlier_versions_stored(house: House) -> None:
    """04 §4.4: they counted retries, after the first attempt."""
    Log(house, "f").worker.bind("f", "durable:subscriber", "f", {"topic": "t"})
    stored = '{"fifo":true,"max_retries":1,"backoff_ms":5,"hold":false}'
    house.adapter.store.database.reader.execute("UPDATE queues SET settings = ?", (stored,))
    await house.crash()
    destination = house.adapter.topics.at(house.adapter.store.places.of("destination", "t", "default", "f"))
    assert destination is not None
    options = destination.consumer.options
    assert (options.fifo, options.max_attempts, options.backoff_ms, options.hold) == (True, 2, 5, False)
