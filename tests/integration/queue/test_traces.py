"""One trace over publisher, queue and function, whatever keeps the jobs (06 §3 rule 7, 17 §7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from tests.integration.queue.house import DEADLINE_S, Calls, House, Open, fails
from tests.integration.server.raw_socket import RawSocket
from tests.integration.storage.redis_server import RedisServer

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CONTEXT: dict[str, Any] = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01", "baggage": "k=v"}
CALL_ID = "0b0f9c1e-1111-4111-8111-111111111111"


async def said(house: House, message: dict[str, Any]) -> None:
    """A call with a trace context, until it is answered."""
    async with await RawSocket.greeted(house.listener.port) as caller:
        caller.say({"type": "invokefunction", "invocation_id": CALL_ID, **message, **CONTEXT})
        async with asyncio.timeout(DEADLINE_S):
            while (answer := await caller.json())["type"] != "invocationresult":
                pass
    assert "error" not in answer, answer


async def ended(house: House, name: str, count: int) -> list[dict[str, Any]]:
    """The spans of that name in the trace, once so many have ended."""
    request = {"search_all_spans": True, "include_internal": True, "trace_id": TRACE_ID}
    async with asyncio.timeout(DEADLINE_S):
        while True:
            spans = (await house.call("engine::traces::list", **request))["spans"]
            found = [span for span in spans if span["name"] == name and "pending" not in span]
            if len(found) >= count:
                return found


def attributes(span: dict[str, Any]) -> dict[str, str]:
    return dict(map(tuple, span["attributes"]))


async def test_06_s3_rule_7_a_job(adapter: dict[str, Any], open_house: Open, name: Callable[[str], str]) -> None:
    queue = name("mail")
    house = await open_house(adapter, queue_configs={queue: {"max_retries": 1, "backoff_ms": 100}})
    house.engine.add_module(Observability(house.engine, ObservabilityConfig()))
    Calls(house.worker, "orders::charge", fails)
    await house.settled()
    action = {"type": "enqueue", "queue": queue}
    await said(house, {"function_id": "orders::charge", "data": {"id": 7}, "action": action})
    (entered,) = await ended(house, f"enqueue orders::charge → {queue}", 1)
    spans = await ended(house, f"fn_queue {queue}", 1)
    assert spans[0]["parent_span_id"] == entered["span_id"]
    told = attributes(spans[0])
    assert (told["attempt"], told["k"], told["error.type"], spans[0]["status"]) == ("1", "v", "boom", "error")
    assert len(told["delivery_id"]) == 36


async def test_06_check_36a_a_message(adapter: dict[str, Any], open_house: Open, name: Callable[[str], str]) -> None:
    topic = name("orders")
    house = await open_house(adapter)
    house.engine.add_module(Observability(house.engine, ObservabilityConfig()))
    heard = Calls(house.worker, "on::order")
    house.worker.register_trigger(
        {"type": "durable:subscriber", "function_id": "on::order", "config": {"topic": topic}}
    )
    await house.settled()
    await said(house, {"function_id": "iii::durable::publish", "data": {"topic": topic, "data": {"id": 7}}})
    await heard.count(1)
    (published,) = await ended(house, "call iii::durable::publish", 1)
    (delivered,) = await ended(house, f"queue {topic}::on::order@default", 1)
    assert (delivered["parent_span_id"], delivered["status"]) == (published["span_id"], "ok")
    assert attributes(delivered)["k"] == "v"


async def test_04_s11_2_a_message_over_redis(redis_server: RedisServer, open_house: Open) -> None:
    house = await open_house({"name": "redis", "config": {"redis_url": redis_server.url}})
    house.engine.add_module(Observability(house.engine, ObservabilityConfig()))
    heard = Calls(house.worker, "on::order", fails)
    house.worker.register_trigger(
        {"type": "durable:subscriber", "function_id": "on::order", "config": {"topic": "orders"}}
    )
    await house.settled()
    await said(house, {"function_id": "iii::durable::publish", "data": {"topic": "orders", "data": 1}})
    await heard.count(1)
    (published,) = await ended(house, "call iii::durable::publish", 1)
    (delivered,) = await ended(house, "queue orders::on::order@default", 1)
    assert (delivered["parent_span_id"], delivered["status"]) == (published["span_id"], "error")
    assert "job_id" not in attributes(delivered)
