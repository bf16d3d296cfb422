"""Which functions are the engine's own is not for workers to say (23 §5)."""

from typing import Any

import msgspec

from iii.console.lists.workers import module_names

WORKER = {"runtime": "python", "status": "available", "activity": "available"}
MODULE = {"runtime": "engine", "status": "available"}


class Told:
    """A desk where these workers are listed."""

    def __init__(self, *workers: dict[str, Any]) -> None:
        rows = [{"id": str(number), **row} for number, row in enumerate(workers)]
        self._text = msgspec.json.encode({"workers": rows})

    async def read_as(self, kind: type[Any], function_id: str, payload: object) -> Any:
        return msgspec.json.decode(self._text, type=kind)


async def names(*workers: dict[str, Any]) -> set[str]:
    desk: Any = Told(*workers)
    return set(await module_names(desk))


async def test_23_5_names_of_modules() -> None:
    assert await names({"name": "iii-state", **MODULE}, {"name": "shop", **WORKER}, {"name": None, **MODULE}) == {
        "iii-state"
    }


async def test_23_5_workers_of_an_engine_that_tells_no_activity() -> None:
    assert await names({"name": "shop", "runtime": "python"}, {"name": "iii-state", **MODULE}) == {"iii-state"}


async def test_23_5_a_worker_hides_no_functions_of_workers() -> None:
    """Neither its own nor those of another one of its name, by a runtime `engine` or by the name of a module."""
    liar = {**WORKER, "runtime": "engine"}
    assert await names({"name": "shop", **WORKER}, {"name": "shop", **liar}, {"name": "hidden", **liar}) == set()
    assert await names({"name": "iii-state", **MODULE}, {"name": "iii-state", **WORKER}) == set()
