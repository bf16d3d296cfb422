"""A function comes again with metadata that allow a trigger of a session no more (20 §10)."""

from __future__ import annotations

import pytest

from iii.engine.access.guard import Access
from iii.engine.access.rights import Rights
from iii.engine.access.rules import ListenerRules
from iii.engine.turns import STEPS
from iii.protocol.limits import NAMED_FUNCTIONS
from iii.testing import MemoryEngine
from tests.unit.engine.access.sessions import access, refused_triggers

TRUSTED = Access(ListenerRules(listener="plain", middleware="app::f"), Rights(who="plain", identity="plain"))
PUBLIC = access({"metadata": {"public": True}}, 'match("engine::register_trigger")')


def bound(engine: MemoryEngine) -> set[str]:
    return {each.id for each in (*engine.core.bindings, *engine.core.bindings.parked.values())}


def test_20_check_48_a_trigger_goes_when_other_metadata_do_not_allow_it(engine: MemoryEngine) -> None:
    app = engine.connect()
    app.register("app::f", metadata={"public": True})
    app.register("app::condition", metadata={"public": True})
    app.provide("some-type")
    guest = engine.connect(access=PUBLIC, functions=["own::f"])
    guest.bind("to-f", "some-type", "app::f")
    guest.bind("to-own", "some-type", "own::f")
    guest.bind("asks", "some-type", "own::f", {"condition_function_id": "app::condition"})
    app.bind("trusted", "some-type", "app::f")
    assert bound(engine) == {"to-f", "to-own", "asks", "trusted"}

    app.unregister("app::f")
    assert "to-f" in bound(engine), "it may come again as it was"
    app.register("app::f", metadata={"public": True, "other": 1})
    assert "to-f" in bound(engine)

    app.register("app::f", metadata={"public": False})
    assert bound(engine) == {"to-own", "asks", "trusted"}
    assert refused_triggers(guest)["to-f"][0] == "FORBIDDEN"

    app.register("app::condition")
    assert bound(engine) == {"to-own", "trusted"}
    guest.drop()
    assert len(engine.core.bindings.leading_to) == 0


def test_20_check_48_a_trigger_by_call_goes_too(engine: MemoryEngine, caplog: pytest.LogCaptureFixture) -> None:
    app = engine.connect()
    app.register("app::f", metadata={"public": True})
    app.provide("some-type")
    for let_in in (PUBLIC, TRUSTED):
        maker = engine.connect(access=let_in)
        maker.start_call(
            "engine::register_trigger", {"trigger_type": "some-type", "function_id": "app::f", "config": {}}
        )
        maker.drop()
    assert len(bound(engine)) == 2

    app.unregister("app::f")
    app.register("app::f", metadata={"public": 1})

    assert len(bound(engine)) == 1, "that of a listener that trusts everybody stays"
    assert [vars(record)["fields"]["reason"] for record in caplog.records if "Trigger removed" in record.message] == [
        "function 'app::f' not allowed in namespace 'default'"
    ]


def test_20_s4_a_trigger_names_few_functions(engine: MemoryEngine) -> None:
    """To judge 400,000 took 2 s, and 160 MB were kept of 3 MB."""
    engine.connect().provide("some-type")
    guest = engine.connect(access=access('match("api::*")'), functions=["own::f"])
    named = [f"api::{number}" for number in range(NAMED_FUNCTIONS + 1)]
    guest.bind("few", "some-type", "own::f", {"function_ids": named[1:]})
    guest.bind("many", "some-type", "own::f", {"function_ids": named})
    assert bound(engine) == {"few"}
    assert refused_triggers(guest)["many"] == (
        "FORBIDDEN",
        "more than 1000 functions named not allowed for this session",
    )


def test_20_check_48_triggers_that_lead_to_one_function_are_each_known(engine: MemoryEngine) -> None:
    app = engine.connect()
    app.provide("some-type")
    guest = engine.connect(access=PUBLIC, functions=["own::f"])
    app.register("app::f", metadata={"public": True})
    for trigger_id in "abc":
        guest.bind(trigger_id, "some-type", "app::f")
    leading_to = engine.core.bindings.leading_to
    for left in ("abc", "bc", "c"):
        assert {each.id for each in leading_to.of(("default", "app::f"))} == set(left)
        guest.say({"type": "unregistertrigger", "id": left[0]})
    assert (len(leading_to), leading_to.of(("default", "app::f"))) == (0, [])


def test_20_check_48_what_left_meanwhile_is_not_judged(engine: MemoryEngine) -> None:
    """Many triggers are judged in turns; a trigger and a session may go between two."""
    app = engine.connect()
    app.register("app::f", metadata={"public": True})
    app.provide("some-type")
    guest = engine.connect(access=PUBLIC)
    last = 3 * STEPS
    for number in range(last + 1):
        guest.bind(f"t{number}", "some-type", "app::f")
    app.register("app::f", metadata={})
    assert f"t{last}" in bound(engine), "its turn is later"
    guest.say({"type": "unregistertrigger", "id": f"t{last}", "trigger_type": "some-type"})
    engine.clock.advance(1)
    assert bound(engine) == set()
    assert f"t{last}" not in refused_triggers(guest)
