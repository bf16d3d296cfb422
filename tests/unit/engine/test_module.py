"""Modules: owners inside the process, with no private door (00 §1; N6)."""

from typing import Any

from msgspec import Struct

from iii.engine.bindings import Binding
from iii.engine.builtin import builtin
from iii.engine.engine import Engine
from iii.engine.module import Module
from iii.testing import FakeClock, MemoryEngine


class Nothing(Struct):
    pass


class Answer(Struct):
    by: str


class Cellar:
    """A part: more builtins of the same module."""

    def __init__(self, engine: Engine) -> None:
        self._version = engine.options.version

    @builtin("house::cellar", spec="00 §1")
    def cellar(self, request: Nothing) -> Answer:
        """Answer from below."""
        return Answer(f"cellar {self._version}")


class House(Module):
    name = "iii-house"
    description = "A house."
    parts = (Cellar,)

    @builtin("house::door", spec="00 §1")
    def door(self, request: Nothing) -> Answer:
        """Answer the door."""
        return Answer(self.instance)

    def not_for_callers(self) -> None:
        raise AssertionError


def test_methods_of_a_module_and_of_its_parts_are_functions(engine: MemoryEngine) -> None:
    house = House(engine.core)
    engine.core.add_module(house)
    caller = engine.connect()

    assert sorted(function.id for function in house.functions()) == ["house::cellar", "house::door"]
    assert caller.result_of("house::door") == {"by": "iii-house"}
    assert caller.result_of("house::cellar") == {"by": "cellar 0.1.0"}


def test_a_module_is_an_owner_without_connection(clock: FakeClock) -> None:
    engine = Engine(clock)
    clock.advance(5)

    first, second = House(engine), House(engine, "iii-house#1")

    assert (first.worker_id, first.in_process, first.display_name) == ("", True, "iii-house")
    assert (first.instance, second.instance, second.display_name) == ("iii-house", "iii-house#1", "iii-house")
    assert first.connected_at_ms == clock.time_ms()


async def test_a_module_that_provides_nothing_needs_no_more(engine: MemoryEngine) -> None:
    house = House(engine.core)
    binding = Binding("t", "mail", "a::b")

    await house.start()
    house.bind(binding)
    house.unbind(binding)
    house.binding_refused(binding, "t", b"{}")
    await house.stop()

    assert list(house.trigger_types()) == []


def test_N6_a_worker_serves_the_function_of_a_module_until_it_leaves(engine: MemoryEngine) -> None:
    engine.core.add_module(House(engine.core))
    caller = engine.connect()
    worker = engine.connect(functions=["house::door"])
    worker.serve(lambda data: "worker")

    assert worker.heard("registrationrejected") == []
    assert caller.result_of("house::door") == "worker"
    worker.drop()

    assert caller.result_of("house::door") == {"by": "iii-house"}


def test_N6_a_module_that_comes_later_takes_its_functions(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["house::door"])

    engine.core.add_module(House(engine.core))

    assert engine.connect().result_of("house::door") == {"by": "iii-house"}
    assert worker.invocations() == []


def test_a_module_that_is_removed_takes_its_functions_along(engine: MemoryEngine) -> None:
    house = House(engine.core)
    engine.core.add_module(house)
    caller = engine.connect()

    engine.core.remove_module(house)

    error: dict[str, Any] = caller.call("house::door")["error"]
    assert error["code"] == "function_not_found"
