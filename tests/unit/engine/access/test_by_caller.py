"""Nothing that the engine calls for a session answers by a caller, whom it would not have (20 §4)."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import iii.engine
import iii.modules
from iii.engine.access.by_caller import BY_CALLER
from iii.engine.builtin import Declaration
from iii.testing import MemoryEngine
from tests.unit.engine.access.sessions import access, error_of, refused_triggers

# They take the caller for the log, to answer later, to pause it, to bound what it waits for, or for the trace of events; it changes no answer
TELLS_NOTHING = {
    *(f"engine::log::{level}" for level in ("trace", "debug", "info", "warn", "error")),
    *(f"engine::traces::{verb}" for verb in ("list", "tree", "clear", "group_by")),
    *(f"configuration::{verb}" for verb in ("register", "set", "delete")),
    *(f"state::{verb}" for verb in ("set", "get", "delete", "update", "compare_and_set", "list", "list_groups", "list_keys", "list_entries")),
    *(f"stream::{verb}" for verb in ("set", "get", "delete", "update", "list", "list_groups", "list_all", "send")),
    "engine::baggage::get", "engine::baggage::get_all", "engine::metrics::list", "engine::rollups::list", "publish", "enqueue",
    "iii::durable::publish", "engine::queue::dlq_messages", "engine::queue::wait", "engine::streams::subscribers", "engine::alerts::list",
}  # fmt: skip


def _taking_their_caller() -> Iterator[str]:
    for package in (iii.engine, iii.modules):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for _, each in inspect.getmembers(module, inspect.isclass):
                yield from _of(each)


def _of(declared: type) -> Iterator[str]:
    for method in vars(declared).values():
        declaration = getattr(method, "__builtin__", None)
        if isinstance(declaration, Declaration) and len(inspect.signature(method).parameters) > 2:
            yield declaration.function_id


def test_20_4_every_function_that_takes_its_caller_is_judged() -> None:
    """A new one is put into `BY_CALLER`, unless what it answers and does is the same for every caller."""
    taking = set(_taking_their_caller())

    assert taking - TELLS_NOTHING == BY_CALLER
    assert not BY_CALLER & TELLS_NOTHING
    assert taking >= TELLS_NOTHING


@pytest.fixture
def guest_access() -> Any:
    return access('match("*")', namespaces={})


@pytest.mark.parametrize("function_id", [*sorted(BY_CALLER), "engine::console::workers"])
@pytest.mark.parametrize("trigger_type", ["mail", "subscribe"])
def test_20_4_no_trigger_of_a_session(
    engine: MemoryEngine, guest_access: Any, trigger_type: str, function_id: str
) -> None:
    """A provider calls it, in the process or another worker: neither has the rights of the session."""
    engine.connect().provide("mail")
    guest = engine.connect(functions=["f"], access=guest_access)

    guest.bind("target", trigger_type, function_id)
    guest.bind("condition", trigger_type, "f", {"condition_function_id": function_id})

    refused = refused_triggers(guest)
    assert {each: refused[each][0] for each in refused} == {"target": "FORBIDDEN", "condition": "FORBIDDEN"}
    assert "answers by who calls it" in refused["target"][1]
    assert len(engine.core.bindings.live) + len(engine.core.bindings.parked) == 0


@pytest.mark.parametrize("function_id", ["engine::functions::list", "engine::register_trigger"])
def test_20_4_no_trigger_by_call_of_a_session(engine: MemoryEngine, guest_access: Any, function_id: str) -> None:
    engine.connect().provide("mail")
    guest = engine.connect(access=guest_access)

    for config in ({}, {"condition_function_id": function_id}):
        target = "app::f" if config else function_id
        request = {"trigger_type": "mail", "function_id": target, "config": config}
        assert error_of(guest, "engine::register_trigger", request)[0] == "FORBIDDEN"


@pytest.mark.parametrize(
    "function_id", ["engine::functions::list", "engine::register_trigger", "engine::queue::enqueue"]
)
def test_20_4_no_job_of_a_session(engine: MemoryEngine, guest_access: Any, function_id: str) -> None:
    """By the action, by a call of the queue's function, and by a job that would enqueue another one."""
    queue = engine.connect(functions=["engine::queue::enqueue"])
    guest = engine.connect(access=guest_access)
    job = {"queue": "default", "function_id": function_id, "data": {}}

    by_action = error_of(guest, function_id, {}, action={"type": "enqueue", "queue": "default"})
    by_call = error_of(guest, "engine::queue::enqueue", job)

    assert [by_action[0], by_call[0]] == ["FORBIDDEN", "FORBIDDEN"]
    assert "answers by who calls it" in by_action[1]
    assert queue.invocations() == []


def test_20_4_trusted_workers_go_on(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    trusted = engine.connect()

    trusted.bind("t1", "mail", "engine::functions::list")

    assert engine.core.bindings.get("t1") is not None
