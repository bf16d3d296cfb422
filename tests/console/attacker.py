"""A worker whose texts all attack: `python -m tests.console.attacker URL`. It says `attacked` when everything is sent.

Each text that a worker can set is one of ours: names, descriptions, metadata, schemas, configurations of triggers, spans, log records,
metrics, results and errors, what it keeps in state, streams, queues and the configuration.
"""

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp

MARKUP = "<img src=x onerror='window.broken=1'><script>window.broken=1</script>"
BIDI = "invoice\u202egnp.exe\u2066"
CONTROLS = "\x1b[31mred\x00\x07\u200b\u2028"
ATTACK = f"{MARKUP}{BIDI}{CONTROLS}"
LONG = ATTACK + "x" * 1_000_000
TRACE, SPAN = "a7" * 16, "a7" * 8
NAMED = f"evil {MARKUP}"


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


ATTRIBUTES = [
    attribute(ATTACK, ATTACK), attribute("long", LONG), attribute(f"baggage.{ATTACK}", ATTACK),
    attribute("exception.stacktrace", ATTACK), attribute("iii.function.id", f"evil::{MARKUP}"),
]  # fmt: skip
RESOURCE = {"attributes": [attribute("service.name", ATTACK), attribute(ATTACK, ATTACK)]}
SCOPE = {"name": ATTACK, "version": ATTACK}


def spans(now_ns: int) -> dict[str, Any]:
    common = {"traceId": TRACE, "kind": 2, "attributes": ATTRIBUTES, "traceState": ATTACK}
    event = {"timeUnixNano": now_ns, "name": ATTACK, "attributes": ATTRIBUTES}
    link = {"traceId": "b8" * 16, "spanId": "b8" * 8, "attributes": ATTRIBUTES}
    root = {
        **common, "spanId": SPAN, "name": ATTACK, "startTimeUnixNano": now_ns, "endTimeUnixNano": now_ns + 10**7,
        "status": {"code": 2, "message": LONG}, "events": [event], "links": [link],
    }  # fmt: skip
    child = {**root, "spanId": "c9" * 8, "parentSpanId": SPAN, "name": LONG}
    return {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"scope": SCOPE, "spans": [root, child]}]}]}


def logs(now_ns: int) -> dict[str, Any]:
    bodies = [{"stringValue": ATTACK}, {"stringValue": LONG}, {"kvlistValue": {"values": [attribute(ATTACK, ATTACK)]}}]
    records = [
        {
            "timeUnixNano": now_ns, "severityNumber": 17, "severityText": ATTACK, "body": body,
            "attributes": ATTRIBUTES, "traceId": TRACE, "spanId": SPAN,
        }
        for body in bodies
    ]  # fmt: skip
    return {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"scope": SCOPE, "logRecords": records}]}]}


def metrics(now_ns: int) -> dict[str, Any]:
    point = {"timeUnixNano": now_ns, "asDouble": 1.5, "attributes": ATTRIBUTES}
    metric = {"name": ATTACK, "unit": ATTACK, "description": ATTACK, "gauge": {"dataPoints": [point]}}
    return {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"scope": SCOPE, "metrics": [metric]}]}]}


SCHEMA = {
    "type": "object", "title": ATTACK, "description": ATTACK, "required": [ATTACK],
    "properties": {ATTACK: {"type": "string", "title": ATTACK, "description": ATTACK, "enum": [ATTACK, "other"]}},
}  # fmt: skip
ANNOUNCED = {
    "name": NAMED, "description": ATTACK * 3, "runtime": ATTACK, "version": ATTACK, "os": ATTACK, "isolation": ATTACK,
    "pid": 7, "telemetry": {"language": ATTACK, "project_name": ATTACK, "framework": ATTACK},
}  # fmt: skip
FUNCTION = {"description": LONG, "metadata": {ATTACK: [ATTACK, LONG]}}
REGISTRATIONS: list[dict[str, Any]] = [
    {"type": "registerfunction", "id": "evil::answer", "request_format": SCHEMA, "response_format": SCHEMA, **FUNCTION},
    {"type": "registerfunction", "id": "evil::fail", **FUNCTION},
    {"type": "registerfunction", "id": f"evil::{MARKUP}", **FUNCTION},
    {"type": "registertriggertype", "id": "evil-type", "description": ATTACK},
    {
        "type": "registertrigger", "id": "evil-own", "trigger_type": "evil-type", "function_id": "evil::answer",
        "config": {ATTACK: ATTACK, "long": LONG}, "metadata": {ATTACK: ATTACK},
    },
    {
        "type": "registertrigger", "id": "evil-topic", "trigger_type": "subscribe", "function_id": "evil::answer",
        "config": {"topic": ATTACK}, "metadata": {ATTACK: ATTACK},
    },
    {
        "type": "registertrigger", "id": "evil-queue", "trigger_type": "durable:subscriber",
        "function_id": "evil::fail", "config": {"topic": "evil <b>"}, "metadata": {ATTACK: ATTACK},
    },
    {
        "type": "registertrigger", "id": "evil-route", "trigger_type": "http", "function_id": "evil::answer",
        "config": {"api_path": "evil/<b>:id</b>/\u202e", "http_method": "GET"},
    },
]  # fmt: skip
CALLS: dict[str, dict[str, Any]] = {
    "state::set": {"scope": ATTACK, "key": ATTACK, "value": {ATTACK: [ATTACK, LONG]}},
    "stream::set": {"stream_name": MARKUP, "group_id": ATTACK, "item_id": ATTACK, "data": {ATTACK: LONG}},
    "iii::durable::publish": {"topic": "evil <b>", "data": {ATTACK: LONG}},
    "configuration::register": {
        "id": "evil", "name": ATTACK, "description": ATTACK, "schema": SCHEMA, "value": {ATTACK: ATTACK},
    },
    "engine::channels::create": {},
}  # fmt: skip


async def serve(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Answers whatever it is asked with texts that attack, and errors too."""
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            continue
        asked = json.loads(message.data)
        if asked["type"] != "invokefunction" or not asked.get("invocation_id"):
            continue
        answer: dict[str, Any] = {"result": {ATTACK: ATTACK, "long": LONG, "deep": nested(200)}}
        if asked["function_id"] == "evil::fail":
            answer = {"error": {"code": ATTACK, "message": LONG, "stacktrace": LONG}}
        names = {name: asked[name] for name in ("invocation_id", "function_id")}
        await socket.send_json({"type": "invocationresult", **names, **answer})


def nested(depth: int) -> Any:
    value: Any = ATTACK
    for _ in range(depth):
        value = [value]
    return value


async def main(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
        void = {"type": "invokefunction", "action": {"type": "void"}}
        await socket.send_json({**void, "function_id": "engine::workers::register", "data": ANNOUNCED})
        for registration in REGISTRATIONS:
            await socket.send_json(registration)
        for function_id, data in CALLS.items():
            await socket.send_json({**void, "function_id": function_id, "data": data})
        now_ns = time.time_ns()
        for prefix, told in ((b"OTLP", spans(now_ns)), (b"LOGS", logs(now_ns)), (b"MTRC", metrics(now_ns))):
            await socket.send_bytes(prefix + json.dumps(told).encode())
        print("attacked", flush=True)
        await serve(socket)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
