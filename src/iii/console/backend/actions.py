"""Routes that call functions and handle jobs (23 §7)."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Raw, Struct

from iii.console.backend.question import ConsoleQuestion, bad_input
from iii.console.backend.route import BackendRoute
from iii.console.desk import Desk
from iii.console.refusal import Refusal
from iii.protocol.limits import INVOCATION_TIMEOUT_MS

_PATHS = "Missing topic or message id in path parameters"


class _Trigger(Struct):
    id: str
    trigger_type: str
    function_id: str = ""
    namespace: str | None = None


class _Triggers(Struct):
    registered_triggers: list[_Trigger]


async def invoke(desk: Desk, question: ConsoleQuestion) -> bytes:
    function_id = question.text("function_id")
    payload = bytes(question.body.get("input", b"{}"))
    namespace = question.optional_text("namespace")
    return await desk.act(function_id, payload, namespace=namespace)


async def cron_trigger(desk: Desk, question: ConsoleQuestion) -> Any:
    """Runs the function of a schedule now, with a payload like its own."""
    trigger_id = question.text("trigger_id")
    function_id, namespace = question.optional_text("function_id"), question.optional_text("namespace")
    if not function_id:
        found = await desk.read_as(_Triggers, "engine::registered-triggers::list", {"include_internal": True})
        trigger = next((each for each in found.registered_triggers if each.id == trigger_id), None)
        if trigger is None:
            raise bad_input(f"Cron trigger '{trigger_id[:100]}' not found")
        if trigger.trigger_type != "cron":
            raise bad_input(f"Trigger '{trigger_id[:100]}' is not a cron trigger")
        if not trigger.function_id:
            raise bad_input(f"Cron trigger '{trigger_id[:100]}' has no function_id")
        function_id, namespace = trigger.function_id, trigger.namespace
    now = str(int(time.time()))
    payload = {
        "trigger": "cron", "job_id": trigger_id, "scheduled_time": now, "actual_time": now, "manual": True, "source": "console",
    }  # fmt: skip
    result = await desk.act(function_id, msgspec.json.encode(payload), namespace=namespace)
    return {"trigger_id": trigger_id, "function_id": function_id, "result": Raw(result)}


async def emit(desk: Desk, question: ConsoleQuestion) -> Any:
    """Publish an event: to subscribers, or durably to a queue's topic (O7)."""
    topic = question.text("topic")
    kind = question.optional_text("type") or "subscribe"
    if kind not in ("subscribe", "queue"):
        raise Refusal(400, f"type: expected subscribe or queue, got '{kind[:50]}'")
    function_id = "publish" if kind == "subscribe" else "iii::durable::publish"
    await desk.act_on(function_id, {"topic": topic, "data": question.body.get("data", Raw(b"null"))})
    return {"message": "Message published", "topic": topic}


async def queues_list(desk: Desk, question: ConsoleQuestion) -> Any:
    return {"queues": Raw(await desk.read("engine::queue::list_topics"))}


async def queue_detail(desk: Desk, question: ConsoleQuestion) -> Any:
    topic = question.parameter("topic", "Missing topic in path parameters")
    return {"topic": topic, "stats": Raw(await desk.read("engine::queue::topic_stats", {"topic": topic}))}


async def queue_publish(desk: Desk, question: ConsoleQuestion) -> Any:
    topic = question.parameter("topic", "Missing topic in path parameters")
    await desk.act_on("iii::durable::publish", {"topic": topic, "data": question.body.get("data", Raw(b"null"))})
    return {"message": "Message published", "topic": topic}


async def dlq_list(desk: Desk, question: ConsoleQuestion) -> Any:
    return {"topics": Raw(await desk.read("engine::queue::dlq_topics"))}


async def dlq_messages(desk: Desk, question: ConsoleQuestion) -> Any:
    topic = question.parameter("topic", "Missing topic in path parameters")
    asked = {"topic": topic, "offset": question.number("offset", 0), "limit": question.number("limit", 50)}
    return {"topic": topic, "messages": Raw(await desk.read("engine::queue::dlq_messages", asked))}


async def dlq_redrive(desk: Desk, question: ConsoleQuestion) -> bytes:
    topic = question.parameter("topic", "Missing topic in path parameters")
    return await desk.act_on("iii::queue::redrive", {"queue": topic}, INVOCATION_TIMEOUT_MS)


async def dlq_redrive_message(desk: Desk, question: ConsoleQuestion) -> bytes:
    asked = {"queue": question.parameter("topic", _PATHS), "message_id": question.parameter("id", _PATHS)}
    return await desk.act_on("iii::queue::redrive_message", asked, INVOCATION_TIMEOUT_MS)


async def dlq_discard_message(desk: Desk, question: ConsoleQuestion) -> bytes:
    asked = {"queue": question.parameter("topic", _PATHS), "message_id": question.parameter("id", _PATHS)}
    return await desk.act_on("iii::queue::discard_message", asked, INVOCATION_TIMEOUT_MS)


ROUTES = (
    BackendRoute("invoke", "POST", "invoke", invoke),
    BackendRoute("cron_trigger", "POST", "cron/trigger", cron_trigger),
    BackendRoute("emit", "POST", "emit", emit),
    BackendRoute("queues_list", "GET", "queues", queues_list),
    BackendRoute("queue_detail", "GET", "queues/:topic", queue_detail),
    BackendRoute("queue_publish", "POST", "queues/:topic/publish", queue_publish),
    BackendRoute("dlq_list", "GET", "dlq", dlq_list),
    BackendRoute("dlq_messages", "POST", "dlq/:topic/messages", dlq_messages),
    BackendRoute("dlq_redrive", "POST", "dlq/:topic/redrive", dlq_redrive),
    BackendRoute("dlq_redrive_message", "POST", "dlq/:topic/messages/:id/redrive", dlq_redrive_message),
    BackendRoute("dlq_discard_message", "DELETE", "dlq/:topic/messages/:id/discard", dlq_discard_message),
)
