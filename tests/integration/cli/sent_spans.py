"""Spans and log records that a worker sends as telemetry frames."""

import asyncio
import json
import time
from typing import Any

import aiohttp

import iii as sdk

SECOND = 10**9


def service(name: str) -> dict[str, Any]:
    """Whose spans or records they are."""
    return {"attributes": attributes(service__name=name)}


def attributes(**values: str) -> list[dict[str, Any]]:
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in values.items()]


def sent(
    trace: str, span: str, parent: str = "", name: str = "work", at_ms: float = 0, took_ms: float = 1, **members: Any
) -> dict[str, Any]:
    """A span of the service `shop`, or another one, that began so long after a moment ten seconds ago."""
    start = time.time_ns() // SECOND * SECOND - 10 * SECOND + int(at_ms * 1e6)
    times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + int(took_ms * 1e6))}
    return {"traceId": trace, "spanId": span, "parentSpanId": parent, "name": name, **times, **members}


def failed(kind: str, message: str, stack: str = "") -> dict[str, Any]:
    """Members of a span that raised."""
    about = attributes(exception__type=kind, exception__message=message, exception__stacktrace=stack)
    return {"status": {"code": 2}, "events": [{"name": "exception", "timeUnixNano": "1", "attributes": about}]}


def take(url: str, *spans: dict[str, Any], logs: tuple[dict[str, Any], ...] = ()) -> None:
    """Send them, and wait until the engine has them; it must have none before."""
    asyncio.run(_send(url, list(spans), list(logs)))
    worker = sdk.register_worker(url, sdk.InitOptions(otel={"enabled": False}))
    listed = {
        "search_all_spans": True,
        "include_internal": True,
        "trace_ids": sorted({span["traceId"] for span in spans}),
    }
    deadline = time.monotonic() + 60
    while worker.trigger({"function_id": "engine::traces::list", "payload": listed})["total"] < len(spans):
        assert time.monotonic() < deadline, "the engine has not taken the spans"
        time.sleep(0.01)
    worker.shutdown()


async def _send(url: str, spans: list[dict[str, Any]], logs: list[dict[str, Any]]) -> None:
    frames = (
        [
            b"LOGS"
            + json.dumps(
                {"resourceLogs": [{"resource": service("shop"), "scopeLogs": [{"logRecords": logs}]}]}
            ).encode()
        ]
        if logs
        else []
    )
    of_services = [
        {"resource": service(span.pop("service", "shop")), "scopeSpans": [{"spans": [span]}]} for span in spans
    ]
    frames.append(b"OTLP" + json.dumps({"resourceSpans": of_services}).encode())
    async with aiohttp.ClientSession() as browser, browser.ws_connect(url + "/otel") as socket:
        for frame in frames:
            await socket.send_bytes(frame)
