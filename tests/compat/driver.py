"""Drives one Python worker SDK, published or ours, for a test: commands come on stdin, answers and events go to stdout, JSON lines.

It runs inside the environment of the client under test, so it uses the standard library and that client's public API
alone, in the spelling of its generation. Every command runs in a thread of its own: a blocking call blocks nothing.
"""

import ast
import asyncio
import hashlib
import importlib
import importlib.metadata
import json
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

warnings.simplefilter("ignore")  # deprecations of the client under test
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # what a client prints must not mix with the answers
WRITING = threading.Lock()


def say(message: dict[str, Any]) -> None:
    line = json.dumps(message, default=plain)
    with WRITING:
        ANSWERS.write(line + "\n")
        ANSWERS.flush()


def plain(value: Any) -> Any:
    """A row of any generation as JSON: pydantic model, Struct or object with attributes."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    fields = getattr(value, "__struct_fields__", None)
    if fields is not None:
        return {field: getattr(value, field) for field in fields}
    return getattr(value, "__dict__", None) or str(value)


def named(name: str, *modules: str) -> Any:
    """A public name, from wherever this generation keeps it."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise LookupError(f"{name} is not in {modules}")


def generation() -> tuple[int, int]:
    """Major and minor version of the published client; (99, 0) is ours."""
    try:
        major, minor = importlib.metadata.version("iii-sdk").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:
        return 99, 0
    return int(major), int(minor)


GENERATION = generation()


class Driver:
    """The client and what was registered through it, by the names that the test gave."""

    def __init__(self) -> None:
        self.client: Any = None
        self.functions: dict[str, Any] = {}
        self.triggers: dict[str, Any] = {}
        self.types: dict[str, Any] = {}
        self.unsubscribe: Callable[[], None] | None = None
        self.observers: dict[str, Any] = {}

    def connect(self, url: str, **options: Any) -> str:
        """Connect with InitOptions; `reconnection` and `otel` are given as plain objects."""
        if "reconnection" in options:
            settings = options.pop("reconnection")
            options["reconnection_config"] = named("ReconnectionConfig", "iii", "iii.iii_constants", "iii.runtime")(
                **settings
            )
        module = importlib.import_module("iii")
        self.client = module.register_worker(url, module.InitOptions(**options))
        return str(self.client.get_connection_state())

    def register(self, function_id: str, kind: str, sync: bool = False, **details: Any) -> None:
        handler = self._sync_handler(function_id, kind) if sync else self._async_handler(function_id, kind)
        if GENERATION < (0, 10):  # a dict is the only form
            self.functions[function_id] = self.client.register_function({"id": function_id, **details}, handler)
        else:
            self.functions[function_id] = self.client.register_function(function_id, handler, **details)

    def unregister(self, function_id: str) -> None:
        self.functions.pop(function_id).unregister()

    def call(self, **request: Any) -> Any:
        action = request.get("action")
        if action is not None:
            iii = importlib.import_module("iii")
            queue = action.get("queue")
            request["action"] = iii.TriggerAction.Void() if queue is None else iii.TriggerAction.Enqueue(queue=queue)
        return self.client.trigger(request)

    def register_service(self, service: dict[str, Any]) -> None:
        self.client.register_service(service)

    def register_trigger(self, name: str, trigger: dict[str, Any]) -> None:
        self.triggers[name] = self.client.register_trigger(trigger)

    def unregister_trigger(self, name: str) -> None:
        self.triggers.pop(name).unregister()

    def create_stream(self, stream_name: str) -> None:
        """Keep a stream in this process."""
        kept = shelf()
        if hasattr(self.client, "create_stream"):
            self.client.create_stream(stream_name, kept)
        else:
            named("create_stream", "iii.helpers")(self.client, stream_name, kept)

    def provide(self, trigger_type: dict[str, Any], refuse: str | None = None) -> None:
        """Provide a trigger type; each binding that comes or goes is an event. `refuse` is the text of a refusal."""
        self.types[trigger_type["id"]] = trigger_type
        self.client.register_trigger_type(trigger_type, provider(refuse))

    def unprovide(self, type_id: str) -> None:
        self.client.unregister_trigger_type(self.types.pop(type_id))

    def list(self, what: str, **options: Any) -> Any:
        return getattr(self.client, f"list_{what}")(**options)

    def functions_available(self, on: bool) -> None:
        if on:
            self.unsubscribe = self.client.on_functions_available(
                lambda rows: say({"event": "functions_available", "ids": [row.function_id for row in rows]})
            )
        else:
            assert self.unsubscribe is not None
            self.unsubscribe()

    def observe(self, source: dict[str, Any], target: str, **options: Any) -> dict[str, Any]:
        """Observe, and what became of it once it is decided; each later state is an event. `id` is the observer's."""
        if GENERATION == (99, 0):
            given = {"where" if name == "filters" else name: value for name, value in source.items()}
            named_so = {"observer_id" if name == "id" else name: value for name, value in options.items()}
            handle = self.client.observe(given.pop("function_id"), target, **given, **named_so)
            handle.on_state_change(lambda state: say({"event": "observer", "id": handle.id, "state": state}))
        else:
            handle = self.client.observe(source, target, options or None)
            handle.on_state_change(lambda state, reason: say({"event": "observer", "id": handle.id, "state": state}))
        self.observers[handle.id] = handle
        try:
            handle.ready(10)
        except Exception as error:
            return {"state": handle.state, "reason": handle.reason, "error": describe(error)}
        return {"state": handle.state, "reason": None, "error": None}

    def dispose(self, observer: str) -> str:
        """End an observer; its state then."""
        handle = self.observers.pop(observer)
        handle.dispose()
        return str(handle.state)

    def log(self, message: str, data: Any) -> None:
        named("Logger", "iii", "iii_helpers.observability")().info(message, data)

    def state(self) -> dict[str, Any]:
        return {"state": str(self.client.get_connection_state()), "worker_id": self.client.worker_id}

    def stop(self) -> None:
        self.client.shutdown()

    def _sync_handler(self, function_id: str, kind: str) -> Callable[..., Any]:
        def handler(payload: Any, metadata: Any = None) -> Any:
            say({"event": "handled", "function_id": function_id, "payload": payload, "metadata": metadata})
            if kind == "relay":
                return self.client.trigger({"function_id": payload["to"], "payload": payload.get("payload")})
            if kind == "slow":
                time.sleep(payload["seconds"])
                return "late"
            return act(kind, payload)

        return handler

    def _async_handler(self, function_id: str, kind: str) -> Callable[..., Any]:
        if kind in WITH_CHANNELS:
            return WITH_CHANNELS[kind]

        async def handler(payload: Any, metadata: Any = None) -> Any:
            say({"event": "handled", "function_id": function_id, "payload": payload, "metadata": metadata})
            if kind == "relay":
                return await self.client.trigger_async(
                    {"function_id": payload["to"], "payload": payload.get("payload")}
                )
            if kind == "slow":
                await asyncio.sleep(payload["seconds"])
                return "late"
            return act(kind, payload)

        return handler


def act(kind: str, payload: Any) -> Any:
    """What the functions of the tests do."""
    match kind:
        case "echo":
            return payload
        case "auth":
            if payload["headers"].get("x-test-token") != "valid":
                raise ValueError("invalid token")
            return {"context": {"user": "u"}, "function_registration_prefix": "guest"}
        case "add":
            return payload["a"] + payload["b"]
        case "fail":
            raise ValueError(payload["text"])
        case "null":
            return None
        case "big":
            return "x" * payload["size"]
    raise LookupError(kind)


async def http_json(request: Any) -> Any:
    body = {name: request[name] for name in ("path_params", "query_params", "body", "method")}
    return {"status_code": 201, "headers": {"X-Client": "yes"}, "body": body}


async def http_upload(request: Any) -> Any:
    return {"status_code": 200, "body": {"size": len(await request["request_body"].read_all())}}


async def http_stream(request: Any) -> None:
    writer = request["response"]
    await writer.send_message_async(json.dumps({"type": "set_status", "status_code": 206}))
    await writer.send_message_async(
        json.dumps({"type": "set_headers", "headers": {"content-type": "text/event-stream"}})
    )
    for number in range(4):
        await writer.write(f"data: {number}\n\n".encode())
    await writer.close_async()


async def http_hang(request: Any) -> None:
    await request["response"].write(b"half")
    await asyncio.sleep(60)


async def channel_send(job: Any) -> Any:
    """Each record as bytes, between two texts; JSON lines."""
    writer = job["writer"]
    await writer.send_message_async("begin")
    for record in job["records"]:
        await writer.write(json.dumps(record).encode() + b"\n")
    await writer.send_message_async("end")
    await writer.close_async()
    return len(job["records"])


async def channel_stats(job: Any) -> Any:
    texts: list[str] = []
    job["reader"].on_message(texts.append)
    lines = (await job["reader"].read_all()).split(b"\n")
    values = [json.loads(line)["value"] for line in lines if line]
    return {
        "sum": sum(values),
        "average": sum(values) / len(values),
        "min": min(values),
        "max": max(values),
        "texts": texts,
    }


async def channel_count(job: Any) -> Any:
    """Progress as texts, then the result as bytes."""
    writer, words, total = job["writer"], job["words"], 0
    for done, word in enumerate(words, 1):
        total += len(word)
        await writer.send_message_async(json.dumps({"done": done, "of": len(words)}))
    await writer.write(json.dumps({"words": words, "total": total}).encode())
    await writer.close_async()
    return total


async def channel_follow(job: Any) -> Any:
    progress: list[Any] = []
    job["reader"].on_message(lambda text: progress.append(json.loads(text)))
    result = json.loads(await job["reader"].read_all())
    return {"progress": progress, "result": result}


async def channel_digest(job: Any) -> Any:
    data = await job["reader"].read_all()
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


WITH_CHANNELS = {
    "http_json": http_json, "http_upload": http_upload, "http_stream": http_stream, "http_hang": http_hang,
    "channel_send": channel_send, "channel_stats": channel_stats, "channel_digest": channel_digest,
    "channel_count": channel_count, "channel_follow": channel_follow,
}  # fmt: skip


def shelf() -> Any:
    """A stream that keeps its items in memory."""
    base = named("IStream", "iii.stream", "iii") if GENERATION < (99, 0) else named("Stream", "iii")

    def result(name: str, **members: Any) -> Any:
        """A model of the client's own; ours takes plain values."""
        if GENERATION == (99, 0):
            return members
        return named(name, "iii.stream", "iii_helpers.stream", "iii")(**members)

    class Shelf(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            self.items: dict[str, dict[str, Any]] = {}

        async def get(self, request: Any) -> Any:
            return self.items.get(request.group_id, {}).get(request.item_id)

        async def set(self, request: Any) -> Any:
            group = self.items.setdefault(request.group_id, {})
            old, group[request.item_id] = group.get(request.item_id), request.data
            return result("StreamSetResult", old_value=old, new_value=request.data)

        async def delete(self, request: Any) -> Any:
            old = self.items.get(request.group_id, {}).pop(request.item_id, None)
            return result("StreamDeleteResult", old_value=old)

        async def list(self, request: Any) -> Any:
            return [*self.items.get(request.group_id, {}).values()]

        async def list_groups(self, request: Any) -> Any:
            return [*self.items]

        async def update(self, request: Any) -> Any:
            raise NotImplementedError

    return Shelf()


def provider(refuse: str | None) -> Any:
    """A handler of one trigger type, that records; a subclass where the generation exports the base."""
    base = named("TriggerHandler", "iii", "iii.trigger", "iii.triggers")

    class Recorder(base):  # type: ignore[misc, valid-type]
        async def register_trigger(self, config: Any) -> None:
            say({"event": "bound", **binding(config)})
            if refuse is not None:
                raise ValueError(refuse)

        async def unregister_trigger(self, config: Any) -> None:
            say({"event": "unbound", **binding(config)})

    return Recorder()


def binding(config: Any) -> dict[str, Any]:
    names = ("id", "function_id", "config", "metadata")
    return {name: getattr(config, name, None) for name in names}


def describe(error: BaseException) -> dict[str, Any]:
    """An error of any generation. 0.9 and 0.10 raise a plain Exception with the text of the error object."""
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if code is None and type(error) is Exception:
        try:
            body = ast.literal_eval(str(error))
            code, message = body["code"], body["message"]
        except (ValueError, SyntaxError, TypeError, KeyError):
            message = str(error)
    if code is None and isinstance(error, TimeoutError):
        code = "TIMEOUT"
    return {"kind": type(error).__name__, "code": code, "message": message or str(error)}


def obey(driver: Driver, command: dict[str, Any]) -> None:
    answer: dict[str, Any] = {"answer": command["command"]}
    try:
        answer["result"] = getattr(driver, command["do"])(**command["with"])
    except BaseException as error:
        traceback.print_exc()
        answer["error"] = describe(error)
    say(answer)


def main() -> None:
    driver = Driver()
    for line in sys.stdin:
        threading.Thread(target=obey, args=(driver, json.loads(line)), daemon=True).start()
    os._exit(0)  # the test is gone; threads of the client must not keep this process


if __name__ == "__main__":
    main()
