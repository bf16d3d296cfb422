"""Workers that observe, and that host what is observed."""

from __future__ import annotations

from typing import Any

from iii.testing import MemoryEngine, MemoryWorker

V1 = ["observe.v1", "local-dispatch.v1", "large-messages.v1"]
V2 = ["observe.v1", "observe.v2", "local-dispatch.v1", "large-messages.v1"]


def old(engine: MemoryEngine, *functions: str, **metadata: Any) -> MemoryWorker:
    """A worker that knows nothing of observers."""
    return engine.connect(functions=functions, version="0.24.6", **metadata)


def v1(engine: MemoryEngine, *functions: str, **metadata: Any) -> MemoryWorker:
    """A worker of 0.25."""
    return engine.connect(functions=functions, features=V1, **metadata)


def v2(engine: MemoryEngine, *functions: str, **metadata: Any) -> MemoryWorker:
    """A worker of 0.26."""
    return engine.connect(functions=functions, features=V2, runtime="rust", version="0.26.0", **metadata)


def observe(
    worker: MemoryWorker, observer_id: str, source: str, target: str, *, source_members: Any = None, **members: Any
) -> dict[str, Any]:
    """Observe; the answer."""
    before = len(worker.heard("observeresult"))
    worker.say(
        {
            "type": "observe", "id": observer_id, "source": {"function_id": source, **(source_members or {})},
            "target": {"function_id": target}, **members,
        }
    )  # fmt: skip
    answers = worker.heard("observeresult")[before:]
    assert len(answers) == 1
    return answers[0]


def acknowledge(host: MemoryWorker, **members: Any) -> list[dict[str, Any]]:
    """Acknowledge what was announced since the last time that this was asked; the announcements."""
    announced: list[dict[str, Any]] = []
    for frame in host.heard():
        if frame["type"] == "observeradded":
            announced.append(
                {"function_id": frame["function_id"], "id": frame["observer"]["id"], "revision": frame["revision"]}
            )
        elif frame["type"] == "functionregistered":
            announced += [
                {"function_id": frame["id"], "id": view["id"], "revision": frame["revision"]} for view in frame["observers"]
            ]  # fmt: skip
    latest = {(each["function_id"], each["id"]): each for each in announced}
    for each in latest.values():
        host.say({"type": "observerack", **each, **members})
    return list(latest.values())


def activations(worker: MemoryWorker) -> list[dict[str, Any]]:
    """Calls that observers made of it."""
    return [call for call in worker.invocations() if "activation" in call or "observer_id" in (call["data"] or {})]


def active(
    worker: MemoryWorker, host: MemoryWorker, observer_id: str, source: str, target: str, **members: Any
) -> None:
    """Observe a function of a host, which acknowledges that."""
    observe(worker, observer_id, source, target, **members)
    acknowledge(host)
    assert states(worker, observer_id)[-1:] in (["active"], [])


def states(worker: MemoryWorker, observer_id: str) -> list[str]:
    """What its worker was told of an observer since its answer."""
    return [frame["state"] for frame in worker.heard("observerstatechanged") if frame["id"] == observer_id]


def changes(worker: MemoryWorker, observer_id: str) -> list[tuple[str, str | None]]:
    """The same with the codes of the reasons."""
    return [
        (frame["state"], (frame.get("reason") or {}).get("code"))
        for frame in worker.heard("observerstatechanged")
        if frame["id"] == observer_id
    ]


def record(worker: MemoryWorker, observer_id: str) -> dict[str, Any]:
    """Of `engine::observers::get`."""
    found: dict[str, Any] = worker.result_of("engine::observers::get", {"id": observer_id})["observer"]
    return found


def is_unknown(worker: MemoryWorker, observer_id: str) -> bool:
    """Whether no record of an observer is kept."""
    answer = worker.call("engine::observers::get", {"id": observer_id})
    return bool(answer.get("error", {}).get("code") == "OBSERVER_NOT_FOUND")


def call(
    caller: MemoryWorker, host: MemoryWorker, function_id: str, data: Any, result: Any = None, **members: Any
) -> str:
    """A call that the host answers."""
    invocation_id = caller.start_call(function_id, data)
    asked = [each for each in host.invocations() if each["function_id"] == function_id][-1]
    host.answer(asked, result, **members)
    return invocation_id
