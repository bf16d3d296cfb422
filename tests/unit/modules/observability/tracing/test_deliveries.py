"""Spans of jobs and messages: into a queue, out of it, over a restart (17 §7, 04 §3.6)."""

from typing import Any

import pytest

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.testing import MemoryWorker
from tests.unit.modules.observability.tracing.traced_engine import (
    PARENT_ID,
    TRACE_ID,
    TRACEPARENT,
    UNSAMPLED,
    attributes,
)
from tests.unit.modules.queue.house import House, Log

BAGGAGE = "k=v,iii.tag.kind=http"


class TracedHouse(House):
    """A queue whose engine makes spans."""

    def open(self) -> None:
        super().open()
        self.engine.core.add_module(Observability(self.engine.core, ObservabilityConfig()))

    def spans(self, name: str) -> list[dict[str, Any]]:
        """Of a name; in the order of their beginning."""
        request = {"search_all_spans": True, "include_internal": True}
        watcher = self.engine.connect(name="watcher")
        call = watcher.start_call("engine::traces::list", request)
        for _ in range(100):
            if (answer := watcher.answer_to(call)) is not None:
                return [span for span in answer["result"]["spans"] if span["name"] == name]
            self.clock.advance(0)
        raise AssertionError("no list")

    def span(self, name: str) -> dict[str, Any]:
        (span,) = self.spans(name)
        return span


@pytest.fixture
async def house() -> TracedHouse:
    house = TracedHouse(queue_configs={"mail": {"max_retries": 2, "backoff_ms": 100}})
    await house.start()
    return house


def context(span: dict[str, Any]) -> str:
    return f"00-{span['trace_id']}-{span['span_id']}-01"


def first_call(worker: MemoryWorker) -> dict[str, Any]:
    call: dict[str, Any] = worker.invocations()[0]
    return call


async def test_06_s3_rule_7_a_job_belongs_to_the_trace_of_its_producer(house: TracedHouse) -> None:
    worker = house.worker("orders::charge")
    receipt = house.enqueue("orders::charge", {"id": 7}, "mail", traceparent=TRACEPARENT, baggage=BAGGAGE)
    worker.answer(call := first_call(worker))
    entered, delivered = house.span("enqueue orders::charge → mail"), house.span("fn_queue mail")
    assert (entered["trace_id"], entered["parent_span_id"]) == (TRACE_ID, PARENT_ID)
    assert (entered["kind"], entered["status"]) == ("internal", "ok")
    assert attributes(entered) == {
        "function_id": "orders::charge", "queue": "mail", "k": "v", "iii.tag.kind": "http", "iii.function.id": "orders::charge",
    }  # fmt: skip
    assert (delivered["trace_id"], delivered["parent_span_id"]) == (TRACE_ID, entered["span_id"])
    assert (delivered["kind"], delivered["status"]) == ("internal", "ok")
    assert attributes(delivered) == {
        "function_id": "orders::charge", "queue": "mail", "attempt": "1", "delivery_id": receipt,
        "messaging.destination.name": "mail", "messaging.system": "iii-queue", "messaging.operation.type": "process",
        "iii.tag.kind": "queue.process", "iii.tag.display_name": "queue(mail) orders::charge",
        "k": "v", "iii.function.id": "orders::charge",
    }  # fmt: skip
    assert call["traceparent"] == context(delivered)
    assert call["baggage"] == "k=v,iii.function.id=orders%3A%3Acharge"


async def test_17_s7_the_caller_of_enqueue_gets_back_what_it_sent(house: TracedHouse) -> None:
    house.worker("f")
    answer = house.try_enqueue("f", 1, "mail", traceparent=TRACEPARENT, baggage=BAGGAGE)
    assert (answer["traceparent"], answer["baggage"]) == (TRACEPARENT, BAGGAGE)


async def test_17_s7_each_attempt_has_a_span(house: TracedHouse, caplog: pytest.LogCaptureFixture) -> None:
    worker = Log(house, "f")
    worker.answers = lambda data: ValueError("broken")
    house.enqueue("f", 1, "mail")
    house.clock.advance(1)
    spans = house.spans("fn_queue mail")
    entered = house.span("enqueue f → mail")
    assert [attributes(span)["attempt"] for span in spans] == ["1", "2"]
    assert {span["parent_span_id"] for span in spans} == {entered["span_id"]}
    assert {span["status"] for span in spans} == {"error"}
    assert entered["parent_span_id"] is None
    failed = attributes(spans[0])
    assert [failed[f"error.{key}"] for key in ("type", "message", "stack")] == ["boom", "broken", "at line 1"]
    assert [event["name"] for event in spans[0]["events"]] == ["exception"]
    told = [record.fields for record in caplog.records if record.name.endswith("consume.attempt")]  # type: ignore[attr-defined]
    assert [(fields["trace_id"], fields["span_id"], fields["error_id"]) for fields in told] == [
        (span["trace_id"], span["span_id"], attributes(span)["iii.error_id"]) for span in spans
    ]  # 06 §10.2


async def test_17_s7_a_redriven_job_goes_on_in_the_trace_of_its_producer(house: TracedHouse) -> None:
    worker = Log(house, "f")
    worker.answers = lambda data: ValueError("broken")
    house.enqueue("f", 1, "mail", traceparent=TRACEPARENT)
    house.clock.advance(1)
    worker.answers = lambda data: data
    assert house.call("iii::queue::redrive", queue="mail")["redriven"] == 1
    house.clock.advance(1)
    spans = house.spans("fn_queue mail")
    assert [(attributes(span)["attempt"], span["status"]) for span in spans] == [
        ("1", "error"),
        ("2", "error"),
        ("1", "ok"),
    ]
    assert {(span["trace_id"], span["parent_span_id"]) for span in spans} == {
        (TRACE_ID, house.span("enqueue f → mail")["span_id"])
    }


async def test_17_s7_a_job_without_its_function_is_an_error(house: TracedHouse) -> None:
    house.call("queue::define", queue="strict", config={"missing_target": "fail", "max_retries": 1})
    house.enqueue("nobody::has", 1, "strict")
    house.clock.advance(1)
    span = house.spans("fn_queue strict")[0]
    assert (span["status"], attributes(span)["error.type"]) == ("error", "function_not_found")


async def test_17_s7_a_job_that_takes_too_long_is_an_error(house: TracedHouse) -> None:
    house.call("queue::define", queue="quick", config={"timeout_ms": 100, "max_retries": 1})
    worker = house.worker("f")
    house.enqueue("f", 1, "quick")
    assert len(worker.invocations()) == 1
    house.clock.advance(1)
    span = house.spans("fn_queue quick")[0]
    assert (span["status"], span["end_time_unix_nano"] - span["start_time_unix_nano"]) == ("error", 100_000_000)


async def test_17_s7_the_context_of_a_job_outlives_the_engine(house: TracedHouse) -> None:
    house.worker("f")
    house.enqueue("f", 1, "mail", traceparent=TRACEPARENT, baggage=BAGGAGE)
    entered = house.span("enqueue f → mail")
    await house.crash()
    again = house.worker("f")
    house.clock.advance(10)
    again.answer(first_call(again))
    delivered = house.span("fn_queue mail")
    assert (delivered["trace_id"], delivered["parent_span_id"]) == (TRACE_ID, entered["span_id"])


async def test_17_s7_a_job_that_is_refused_is_an_error(house: TracedHouse) -> None:
    house.refused("f", 1, "none")
    span = house.span("enqueue f → none")
    assert (span["status"], attributes(span)["error.type"]) == ("error", "enqueue_error")


async def test_names_of_any_length_do_not_become_those_of_spans(house: TracedHouse) -> None:
    house.refused("f" * 10_000, 1, "q" * 10_000)
    shown = f"{'f' * 200}… (10000 characters)", f"{'q' * 200}… (10000 characters)"
    assert house.span(f"enqueue {shown[0]} → {shown[1]}")["status"] == "error"


async def test_17_s7_a_job_that_is_not_sampled_makes_no_span(house: TracedHouse) -> None:
    worker = house.worker("f")
    house.enqueue("f", 1, "mail", traceparent=UNSAMPLED)
    assert first_call(worker)["traceparent"] == UNSAMPLED
    assert house.spans("enqueue f → mail") == house.spans("fn_queue mail") == []


async def subscribed(house: TracedHouse, function_id: str = "on::order") -> MemoryWorker:
    worker = house.worker(function_id)
    worker.bind("t", "durable:subscriber", function_id, {"topic": "orders"})
    return worker


async def test_06_check_36a_a_message_belongs_to_the_span_that_published_it(house: TracedHouse) -> None:
    worker = await subscribed(house)
    answer = house.caller.call(
        "iii::durable::publish", {"topic": "orders", "data": 1}, traceparent=TRACEPARENT, baggage="k=v"
    )
    assert "error" not in answer
    worker.answer(call := first_call(worker))
    name = "orders::on::order@default"
    published, delivered = house.span("call iii::durable::publish"), house.span(f"queue {name}")
    assert (published["trace_id"], published["parent_span_id"]) == (TRACE_ID, PARENT_ID)
    told = attributes(published)
    assert [told[key] for key in ("messaging.destination.name", "baggage.topic", "messaging.operation.type")] == [
        "orders", "orders", "publish",
    ]  # fmt: skip
    assert (delivered["trace_id"], delivered["parent_span_id"]) == (TRACE_ID, published["span_id"])
    (job_id,) = (attributes(delivered)["job_id"],)
    assert attributes(delivered) == {
        "job_id": job_id, "queue": name, "messaging.destination.name": name, "baggage.queue": name,
        "messaging.system": "iii-queue", "messaging.operation.type": "process", "k": "v",
    }  # fmt: skip
    assert (delivered["kind"], delivered["status"]) == ("internal", "ok")
    assert (call["traceparent"], call["baggage"]) == (context(delivered), "k=v")  # 06 check 35b


async def test_17_s7_a_message_without_context_begins_a_trace_when_it_is_delivered(house: TracedHouse) -> None:
    worker = await subscribed(house, "a@b\\c")
    house.publish("orders", 1)
    span = house.span("queue orders::a\\@b\\\\c@default")
    assert (span["parent_span_id"], span["pending"]) == (None, True)
    assert first_call(worker)["traceparent"] == context(span)
