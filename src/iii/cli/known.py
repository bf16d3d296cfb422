"""The name that was meant, out of those that the engine knows; it is asked only when a name was not found."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from iii.cli.address import Address
from iii.cli.parser import suggestion
from iii.protocol.names import ENGINE_PREFIX, LIST_FUNCTIONS, LIST_WORKERS, SEPARATOR, without_control_characters
from iii.protocol.suggestion import nearest

_SHOWN = 5


class KnownNames(NamedTuple):
    """Which function of the engine lists them, with what request, and where they are in its answer."""

    function_id: str
    request: dict[str, Any]
    of: Callable[[Any], Iterable[Any]]


WORKERS = KnownNames(LIST_WORKERS, {"dialect": "legacy"}, lambda answer: (row.get("name") for row in answer["workers"]))
QUEUES = KnownNames("engine::queue::dlq_topics", {}, lambda answer: (row["topic"] for row in answer))
SCOPES = KnownNames("state::list_groups", {}, lambda answer: answer["groups"])


def functions_like(wrong: str) -> KnownNames:
    """Functions of workers, and the engine's own if one of these may be meant."""
    own = wrong.startswith(ENGINE_PREFIX.rstrip(SEPARATOR))
    request = {"dialect": "legacy", "include_internal": own}
    return KnownNames(LIST_FUNCTIONS, request, lambda answer: (row["function_id"] for row in answer["functions"]))


def known(address: Address, command: str, names: KnownNames) -> set[str]:
    """All of them; none if the engine does not tell: what was asked before has an answer already."""
    from iii.cli.asking import EngineSilent, EngineUnreachable
    from iii.cli.engine_call import ask
    from iii.protocol.errors import InvocationError

    try:
        answer = ask(address, command, names.function_id, names.request).result
    except (EngineUnreachable, EngineSilent, InvocationError):
        return set()
    return {without_control_characters(str(name)) for name in names.of(answer) if name}


def meant(address: Address, command: str, wrong: str, names: KnownNames) -> str:
    """`, did you mean 'x'?`, or nothing; nothing too if the name is right, and something else about it is wrong."""
    found = known(address, command, names)
    return "" if wrong in found else suggestion(wrong, found)


def function_meant(address: Address, command: str, wrong: str, code: str) -> str:
    """The same for a function, if that it was not found is what went wrong."""
    from iii.protocol.errors import FunctionNotFound

    return meant(address, command, wrong, functions_like(wrong)) if code == FunctionNotFound.code else ""


def worker_meant(address: Address, command: str, wrong: str) -> str:
    """The same for a worker; those of an app have its name and four characters more."""
    found = known(address, command, WORKERS)
    if wrong in found:
        return ""
    apps = {name.rpartition("-")[0] for name in found} - {""}
    app = wrong if wrong in apps else nearest(wrong, found | apps)
    copies = sorted(name for name in found if app is not None and name.rpartition("-")[0] == app)
    if not copies:
        return suggestion(wrong, found)
    shown = " or ".join(f"'{name}'" for name in copies[:_SHOWN])
    return f", did you mean {shown}{' or another' if len(copies) > _SHOWN else ''}?"
