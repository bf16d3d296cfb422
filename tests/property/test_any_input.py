"""Whatever JSON is sent to the functions of state, streams and pub/sub, or registered as a trigger: it is answered (issue 5)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from iii.engine.bindings import Binding
from iii.engine.engine import Engine
from iii.modules.cron.module import Cron
from iii.modules.pubsub.module import PubSub
from iii.modules.state.module import State
from iii.modules.stream.module import Streams
from iii.protocol.errors import InvocationError, TriggerRegistrationFailed
from iii.testing import FakeClock

MEMBERS = (
    "scope", "key", "value", "data", "ops", "path", "type", "by", "stream_name", "group_id", "item_id", "id", "cursor",
    "limit", "max_bytes", "topic", "expected_value", "new_value", "expression", "timezone", "condition_function_id",
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4),
    st.sampled_from(["set", "merge", "append", "increment", "a", "* * * * *", "Europe/Berlin"]),
)  # fmt: skip
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=8),
    max_leaves=25,
)
LIKELY = st.fixed_dictionaries({}, optional={name: st.one_of(st.just("a"), ANY_JSON) for name in MEMBERS})
MODULES = (State, Streams, PubSub, Cron)


def engine() -> Engine:
    engine = Engine(FakeClock())
    for module in MODULES:
        engine.add_module(module(engine))
    return engine


FUNCTIONS = sorted(function.id for module in engine().modules for function in module.functions())
TRIGGER_TYPES = sorted(each.id for module in engine().modules for each in module.trigger_types())


@given(st.lists(st.tuples(st.sampled_from(FUNCTIONS), st.one_of(ANY_JSON, LIKELY)), min_size=1, max_size=8))
def test_every_call_is_answered_with_json_or_a_clear_error(calls: list[tuple[str, Any]]) -> None:
    core = engine()
    for function_id, payload in calls:
        answers: list[tuple[bytes | None, InvocationError | None]] = []
        core.router.call(function_id, None, json.dumps(payload).encode(), lambda *answer: answers.append(answer))  # noqa: B023
        ((result, error),) = answers
        if error is None:
            if result is not None:
                json.loads(result)
        else:
            assert error.code not in ("invocation_failed", "serialization_error"), error.message
            assert error.message


@given(st.lists(st.tuples(st.sampled_from(TRIGGER_TYPES), st.one_of(ANY_JSON, LIKELY)), min_size=1, max_size=8))
def test_every_trigger_is_bound_or_refused(triggers: list[tuple[str, Any]]) -> None:
    core = engine()
    refusals: list[str] = []
    for number, (trigger_type, config) in enumerate(triggers):
        binding = Binding(f"t{number % 3}", trigger_type, "f", config=json.dumps(config).encode())
        try:
            core.bindings.register(binding)
        except TriggerRegistrationFailed as refused:
            refusals.append(refused.message)
        else:
            assert core.bindings.get(binding.id) is not None
    assert all(refusals)
    for payload in (
        {"scope": "a", "key": "a", "value": 1},
        {"stream_name": "a", "group_id": "a", "item_id": "a", "data": 1},
    ):
        function_id = "state::set" if "scope" in payload else "stream::set"
        core.router.call(function_id, None, json.dumps(payload).encode())
