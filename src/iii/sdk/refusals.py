"""What the engine made of the declarations of an app, asked once, right after they were registered (11 §3)."""

import logging
from collections.abc import AsyncIterator, Iterator

from iii.protocol.errors import InvocationError, ItemNotFound
from iii.protocol.log_event import LogEvent
from iii.protocol.names import FUNCTION_INFO, LIST_TRIGGERS, TRIGGER_TYPE_MODULES
from iii.protocol.suggestion import did_you_mean
from iii.sdk.annotations import read_plain
from iii.sdk.core import WorkerCore
from iii.sdk.registrations import Registrations
from iii.sdk.rejection import DeclarationRefused

TYPE_MISSING = LogEvent(
    "iii.sdk", "sdk.trigger_type_missing", logging.WARNING, "Trigger waits: no worker provides its type",
    means="The engine keeps the trigger until a worker or a module with this type comes; the function is not called before.",
    do="Start the worker that provides the type, or add the module that `hint` names to the engine's configuration.",
)  # fmt: skip

_SHOWN = 300  # characters of a config in an error


async def raise_if_refused(core: WorkerCore, app: str) -> None:
    """Ask what became of everything that was registered so far; without a connection only the log will tell.

    Raises:
        DeclarationRefused: the engine does not take some of it.
    """
    if core.connection.states.state != "connected":
        return
    provided = await _provided_types(core)  # answered when the engine has acted on all that was said before
    registrations = core.registrar.registrations
    reasons = [*_refused(registrations), *_refused_observers(core), *[each async for each in _refused_urls(core)]]
    if reasons:
        raise DeclarationRefused(app, reasons)
    if provided is not None:
        _tell_missing_types(registrations, provided)


async def _provided_types(core: WorkerCore) -> set[str] | None:
    request = {"kind": "types", "include_internal": True}
    try:
        reply = await core.caller.call_async({"function_id": LIST_TRIGGERS, "payload": request})
        return {row["id"] for row in reply["triggers"]}
    except (
        InvocationError,
        KeyError,
        TypeError,
    ):  # of another maker, or overloaded; what it refused is known all the same
        return None


def _refused(registrations: Registrations) -> Iterator[str]:
    for registered_id, reason in registrations.refused.items():
        sent = registrations.triggers.get(registered_id)
        if sent is None:
            yield f"function '{registered_id}': {reason}"
        else:
            trigger = read_plain(sent)
            config = str(trigger.get("config"))[:_SHOWN]
            yield f"{trigger['trigger_type']} trigger of '{trigger['function_id']}' with {config}: {reason}"


def _refused_observers(core: WorkerCore) -> Iterator[str]:
    for observer in core.observers.refused.values():
        yield f"{observer.declared}: {observer.reason}"


async def _refused_urls(core: WorkerCore) -> AsyncIterator[str]:
    """Functions behind URLs: of these no message tells."""
    functions = core.registrar.registrations.functions
    for function_id in [each for each, function in functions.items() if function.handler is None]:
        payload = {"function_id": function_id, "namespace": core.namespace}
        try:
            await core.caller.call_async({"function_id": FUNCTION_INFO, "payload": payload})
        except InvocationError as error:
            if error.code == ItemNotFound.code:
                yield f"function '{function_id}': {error.message}"


def _tell_missing_types(registrations: Registrations, provided: set[str]) -> None:
    waiting: dict[str, list[str]] = {}
    for sent in registrations.triggers.values():
        trigger = read_plain(sent)
        if trigger["trigger_type"] not in provided:
            waiting.setdefault(trigger["trigger_type"], []).append(trigger["function_id"])
    for trigger_type, function_ids in waiting.items():
        module = TRIGGER_TYPE_MODULES.get(trigger_type)
        hint = f"module {module}" if module else did_you_mean(trigger_type, provided, "did you mean '{}'?")
        TYPE_MISSING(trigger_type=trigger_type, functions=function_ids, hint=hint)
