"""Random rules and operations: what the engine allows is what a small model of the specification allows (20 §3, 20 §8)."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from iii.engine.access.guard import Access
from iii.engine.access.rights import Rights, read_auth_result
from iii.engine.access.rules import ListenerRules
from iii.engine.engine_functions import EngineFunctions
from iii.testing import FakeClock, MemoryEngine
from tests.unit.engine.access.sessions import filters_of

NAMESPACES = ("default", "orders")
IDS = ("api::a", "api::b", "app::x", "own::f", "p::own::f", "engine::functions::list", "engine::log::info")
OWN_IDS = ("own::f", "api::a", "p::own::f", "state::set", "engine::functions::list")
TYPES = ("mail", "chat")
PATTERNS = st.sampled_from(("*", "api::*", "*::a", "own::*", "p::*", "engine::*", "app::x", "*x*", "nothing"))
LISTED = st.lists(st.sampled_from(IDS) | PATTERNS, max_size=3)

FILTERS = st.lists(
    st.builds(lambda pattern: f'match("{pattern}")', PATTERNS)
    | st.fixed_dictionaries({"match": PATTERNS}, optional={"namespace": st.sampled_from(NAMESPACES)})
    | st.fixed_dictionaries({"metadata": st.dictionaries(st.sampled_from("kl"), st.booleans(), min_size=1)}),
    max_size=3,
)
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "allowed_functions": LISTED,
        "forbidden_functions": LISTED,
        "namespaces": st.dictionaries(st.sampled_from(NAMESPACES), LISTED, max_size=2),
        "allowed_trigger_types": st.none() | st.lists(st.sampled_from(TYPES), max_size=2),
        "allow_trigger_type_registration": st.booleans(),
        "allow_function_registration": st.booleans(),
        "function_registration_prefix": st.none() | st.just("p"),
    },
)
METADATA = st.dictionaries(st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(IDS[:3])), st.none() | st.booleans())

INFRASTRUCTURE = {
    *(f"engine::log::{each}" for each in ("info", "warn", "error", "debug", "trace")),
    *(f"engine::baggage::{each}" for each in ("get", "set", "get_all")),
    "engine::channels::create", "engine::workers::register",
}  # fmt: skip


class Model:
    """The rules once more, as slowly and plainly as they can be written."""

    def __init__(self, filters: list[Any], result: dict[str, Any], metadata: dict[tuple[str, str], Any]) -> None:
        self.filters = filters
        self.result = result
        self.metadata = metadata

    def member(self, name: str, default: Any) -> Any:
        value = self.result.get(name)
        return default if value is None else value

    def allows(self, function_id: str, namespace: str) -> bool:
        if any(means(each, function_id) for each in self.member("forbidden_functions", [])):
            return False
        if any(means(each, function_id) for each in self.member("namespaces", {}).get(namespace, [])):
            return True
        if namespace == "default" and any(means(each, function_id) for each in self.member("allowed_functions", [])):
            return True
        return function_id in INFRASTRUCTURE or any(self.exposes(each, function_id, namespace) for each in self.filters)

    def exposes(self, found: Any, function_id: str, namespace: str) -> bool:
        if isinstance(found, str):
            found = {"match": found[len('match("') : -len('")')]}
        if found.get("namespace", "default") != namespace:
            return False
        if "match" in found:
            return means(found["match"], function_id)
        flag = self.metadata.get((namespace, function_id))
        return flag is not None and all({"k": flag}.get(key) is wanted for key, wanted in found["metadata"].items())

    def stored(self, own_id: str) -> str:
        prefix = self.member("function_registration_prefix", None)
        return own_id if prefix is None else f"{prefix}::{own_id}"

    def registers(self, own_id: str) -> bool:
        taken = ("default", self.stored(own_id)) in self.metadata
        reserved = self.stored(own_id).startswith(("engine::", "state::"))
        may = bool(self.member("allow_function_registration", True))
        return bool(may and self.declares and not taken and not reserved)

    @property
    def declares(self) -> bool:
        return "default" in (self.member("namespaces", {}) or {"default": []})

    def binds(self, trigger_type: str, own_id: str, namespace: str, own: set[str]) -> bool:
        types = self.result.get("allowed_trigger_types")
        if types is not None and trigger_type not in types:
            return False
        target = self.stored(own_id)
        return self.runs_for(target) and (self.allows(target, namespace) or (namespace == "default" and own_id in own))

    def runs_for(self, function_id: str) -> bool:
        """Whether the engine calls it for a session: what answers by its caller has none then."""
        return function_id != "engine::functions::list"


def means(pattern: str, identifier: str) -> bool:
    return re.fullmatch(pattern.replace("*", ".*"), identifier) is not None


class World:
    """Trusted functions with metadata, two trigger types, and a session with the rules."""

    def __init__(self, filters: list[Any], result: dict[str, Any], metadata: dict[tuple[str, str], Any]) -> None:
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        for namespace in NAMESPACES:
            worker = self.engine.connect(namespace=namespace)
            worker.serve(lambda data: "served")
            for (place, function_id), flag in metadata.items():
                if place == namespace:
                    worker.register(function_id, metadata={"k": flag})
        provider = self.engine.connect()
        for each in TYPES:
            provider.provide(each)
        rules = ListenerRules(listener="rbac", exposed=filters_of(filters))
        access = Access(rules, read_auth_result(json.dumps(result).encode(), "rbac"))
        self.guest = self.engine.connect(announce=False, access=access)
        self.guest.serve(lambda data: "own")
        self.guest.say({"type": "ping"})
        self.clock.advance(6)  # in `default`, whether it may declare that or not

    def calls(self, function_id: str, namespace: str | None, **members: Any) -> bool:
        error = self.guest.call(function_id, namespace=namespace, **members).get("error", {})
        return bool(error.get("code") != "FORBIDDEN")

    def lists(self) -> set[tuple[str, str]]:
        answer = self.guest.call("engine::functions::list", {"include_internal": True})
        rows = answer["result"]["functions"] if "result" in answer else []
        return {(row["namespace"], row["function_id"]) for row in rows}


@settings(max_examples=200, deadline=None)
@given(FILTERS, RESULTS, METADATA)
def test_calls_and_lists(filters: list[Any], result: dict[str, Any], metadata: dict[tuple[str, str], Any]) -> None:
    metadata = {key: flag for key, flag in metadata.items() if flag is not None}
    world, model = World(filters, result, metadata), Model(filters, result, metadata)
    wanted = {(each, place): model.allows(each, place) for each in IDS for place in NAMESPACES}

    assert {key: world.calls(*key) for key in wanted} == wanted
    action = {"type": "enqueue", "queue": "q"}
    jobs = {key: model.runs_for(key[0]) and allowed for key, allowed in wanted.items()}
    assert {key: world.calls(*key, action=action) for key in wanted} == jobs
    if model.allows("engine::functions::list", "default"):
        there = {(function.namespace, function.id) for function in world.engine.core.functions}
        assert world.lists() == {(place, each) for place, each in there if model.allows(each, place)}
    world.engine.drop_all_workers()


@settings(max_examples=200, deadline=None)
@given(
    FILTERS,
    RESULTS,
    METADATA,
    st.lists(st.sampled_from(OWN_IDS), max_size=3, unique=True),
    st.lists(
        st.tuples(st.sampled_from(TYPES), st.sampled_from((*IDS, *OWN_IDS)), st.sampled_from(NAMESPACES)), max_size=5
    ),
)
def test_registrations(
    filters: list[Any],
    result: dict[str, Any],
    metadata: dict[tuple[str, str], Any],
    own_ids: list[str],
    triggers: list[tuple[str, str, str]],
) -> None:
    metadata = {key: flag for key, flag in metadata.items() if flag is not None}
    world, model = World(filters, result, metadata), Model(filters, result, metadata)
    world.guest.register(*own_ids)
    own = {each for each in own_ids if model.registers(each)}

    claims = world.engine.core.functions.ownership.claims_of(world.guest.session)
    assert {claim.id for claim in claims} == {model.stored(each) for each in own}
    for number, (trigger_type, own_id, namespace) in enumerate(triggers):
        world.guest.bind(f"t{number}", trigger_type, own_id, namespace=namespace)
        bound = world.engine.core.bindings.get(f"t{number}") is not None
        assert bound is model.binds(trigger_type, own_id, namespace, own)
    world.guest.provide("fresh")
    provided = world.engine.core.trigger_types.get(("default", "fresh")) is not None
    assert provided is (model.member("allow_trigger_type_registration", False) and model.declares)
    world.engine.drop_all_workers()


@settings(max_examples=100, deadline=None)
@given(FILTERS, st.sampled_from(IDS))
def test_what_a_session_has_not_is_never_served_by_it(filters: list[Any], function_id: str) -> None:
    """Whatever it registers, in whatever order others come: a trusted worker's id is the trusted worker's."""
    engine = MemoryEngine(FakeClock(), modules=[EngineFunctions])
    access = Access(ListenerRules(listener="rbac", exposed=filters_of(filters)), Rights(identity="guest"))
    before = engine.connect(functions=[function_id], access=access)
    trusted = engine.connect(functions=["trusted::f"])
    trusted.register(function_id)
    after = engine.connect(functions=[function_id], access=access)

    function = engine.core.functions.find(function_id, None)
    assert function is not None
    assert function.owner.identity is None
    assert [engine.core.functions.ownership.claims_of(each.session) for each in (before, after)] == [[], []]
    engine.drop_all_workers()
