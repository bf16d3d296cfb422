"""Auth functions, hooks and middleware with random answers: who gets what is what a small model of the specification says.

As in `test_access_model.py`, which has the rules alone (20 §1, 20 §3, 20 §5, 20 §8, 20 §9).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from iii.engine.access.admission import Admission, Approach
from iii.engine.access.guard import Access
from iii.engine.access.rules import Hooks, ListenerRules
from iii.engine.engine_functions import EngineFunctions
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.property.test_access_model import FILTERS, NAMESPACES, Model, means
from tests.unit.engine.access.sessions import filters_of

AUTH, HOOK, MIDDLEWARE, CONDITION = "app::auth", "app::hook", "app::mw", "app::condition"
DECIDERS = (AUTH, HOOK, MIDDLEWARE, CONDITION)
TRUSTED = ("api::a", "app::x")  # that a trusted worker serves
OWN = ("own::f", "own::g", "api::a", "state::set", *DECIDERS)
CALLED = (*TRUSTED, "own::f", "p::own::f", "engine::functions::list", "engine::nothing")
IDS = st.lists(st.sampled_from((*CALLED, *OWN, "*", "api::*", "own::*", "app::*")), max_size=3)

RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "allowed_functions": IDS,
        "forbidden_functions": IDS,
        "namespaces": st.dictionaries(st.sampled_from(NAMESPACES), IDS, max_size=2),
        "allowed_trigger_types": st.none() | st.lists(st.sampled_from(("mail", "chat")), max_size=2),
        "allow_trigger_type_registration": st.none() | st.booleans(),
        "allow_function_registration": st.none() | st.booleans(),
        "register": st.none() | IDS,
        "function_registration_prefix": st.none() | st.just("p"),
        "context": st.none() | st.just({"user": 1}),
    },
)
WRONG: st.SearchStrategy[Any] = st.sampled_from(
    [None, [], "yes", 1, {"allowed_functions": "api::a"}, {"namespaces": {"default": "*"}}]
)
VERDICTS: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, False, "ok", [], {}, {"function_id": 5},
        *({"function_id": each} for each in ("own::g", "api::a", CONDITION)), {"trigger_type": "chat"},
    ]
)  # fmt: skip
AWAY = "away"  # in the place of a verdict: nobody serves the hook


class Scene(NamedTuple):
    """What is configured, and what functions of it answer."""

    filters: list[Any]
    result: Any
    verdict: Any
    hooked: frozenset[str]  # kinds of registrations for which there is a hook
    middleware: str | None  # none, there, or away


SCENES = st.builds(
    Scene,
    FILTERS,
    RESULTS | WRONG,
    VERDICTS | st.just(AWAY),
    st.frozensets(st.sampled_from(("function", "trigger", "trigger_type"))),
    st.sampled_from((None, "there", AWAY)),
)


class Chain(Model):
    """The rest of the rules once more."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.filters, scene.result, {})
        self.scene = scene

    def changed(self, kind: str, member: str, value: str) -> str | None:
        """What a hook makes of a member; None: it denies."""
        if kind not in self.scene.hooked:
            return value
        if not isinstance(self.scene.verdict, dict):
            return None
        found = self.scene.verdict.get(member)
        return found if isinstance(found, str) else value

    def has(self, given: str) -> str | None:
        """What a function of its own is registered as; None: it is not."""
        listed = self.result.get("register")
        may = self.member("allow_function_registration", True) and self.declares
        if not may or (listed is not None and not any(means(each, given) for each in listed)):
            return None
        changed = self.changed("function", "function_id", given)
        if changed is None:
            return None
        stored = self.stored(changed)
        decides = stored in DECIDERS and stored not in (listed or [])
        return None if decides or stored in TRUSTED or stored.startswith(("engine::", "state::")) else stored

    def binds_to(self, trigger_type: str, given: str, condition: str, own: dict[str, str]) -> str | None:
        """The target of a trigger; None: it is refused."""
        types = self.result.get("allowed_trigger_types")
        kind, target = (
            self.changed("trigger", *each) for each in (("trigger_type", trigger_type), ("function_id", given))
        )
        if kind is None or target is None or (types is not None and not {kind, trigger_type} <= set(types)):
            return None
        mapped = "trigger" in self.scene.hooked and "function_id" in self.scene.verdict and target != given
        stored = self.stored(target) if mapped or given not in own else own[given]
        mine = set(own.values())
        return stored if all(each in mine or self.allows(each, "default") for each in (stored, condition)) else None

    def reaches(self, function_id: str, namespace: str) -> str:
        """What becomes of a call."""
        if not self.allows(function_id, namespace):
            return "FORBIDDEN"
        if self.scene.middleware is not None and not function_id.startswith("engine::"):
            return "middleware" if self.scene.middleware == "there" and namespace == "default" else "no middleware"
        return "target"


class World:
    """Trusted workers that serve and decide, and whoever the auth function lets in."""

    def __init__(self, scene: Scene) -> None:
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        hooks = Hooks(**dict.fromkeys(scene.hooked, HOOK))
        middleware = None if scene.middleware is None else MIDDLEWARE
        rules = ListenerRules(
            listener="rbac", exposed=filters_of(scene.filters), auth_function=AUTH, middleware=middleware, hooks=hooks
        )
        self.engine.core.functions.entrusted.hold("config", [AUTH, HOOK, MIDDLEWARE])
        self.served(AUTH, scene.result)
        self.trusted = self.engine.connect(functions=TRUSTED)
        self.trusted.serve(lambda data: "target")
        for each in ("mail", "chat"):
            self.trusted.provide(each)
        self.trusted.bind("trusted", "mail", "api::a", {"condition_function_id": CONDITION})
        if scene.verdict != AWAY:
            self.served(HOOK, scene.verdict)
        if scene.middleware == "there":
            self.served(MIDDLEWARE, "middleware")
        self.access: Access | None = None
        Admission(self.engine.core.router, self.clock, rules).admit(Approach((), "", "10.0.0.1"), self.decided)

    def served(self, function_id: str, answer: Any) -> None:
        self.engine.connect(functions=[function_id]).serve(lambda data: answer)

    def decided(self, access: Access | None, error: Any) -> None:
        self.access = access

    def guest(self) -> MemoryWorker:
        guest = self.engine.connect(announce=False, access=self.access)
        guest.serve(lambda data: "own")
        guest.say({"type": "ping"})
        self.clock.advance(6)  # in `default`, whether it may declare that or not
        return guest

    def of(self, guest: MemoryWorker) -> set[str]:
        return {claim.id for claim in self.engine.core.functions.ownership.claims_of(guest.session)}


def lets_in(result: Any) -> bool:
    return isinstance(result, dict) and not any(
        isinstance(each, str)
        for each in (result.get("allowed_functions"), *dict(result.get("namespaces") or {}).values())
    )


def outcome(world: World, guest: MemoryWorker, function_id: str, namespace: str) -> str:
    answer = guest.call(function_id, namespace=namespace)
    error = answer.get("error", {})
    if error.get("code") == "FORBIDDEN":
        return "FORBIDDEN"
    if answer.get("result") == "middleware":
        return "middleware"
    return "no middleware" if f"Function {MIDDLEWARE} " in error.get("message", "") else "target"


@settings(max_examples=150, deadline=None)
@given(SCENES, st.lists(st.sampled_from(OWN), max_size=4, unique=True))
def test_registrations_and_calls(scene: Scene, own_ids: list[str]) -> None:
    world, model = World(scene), Chain(scene)
    assert (world.access is not None) is lets_in(scene.result)
    if world.access is None:
        return
    guest = world.guest()
    for each in own_ids:
        guest.register(each)

    wanted = {each: stored for each in own_ids if (stored := model.has(each)) is not None}
    assert world.of(guest) == set(wanted.values())
    if MIDDLEWARE not in wanted.values() and scene.middleware != AWAY:
        calls = [(each, place) for each in CALLED for place in NAMESPACES]
        assert {key: outcome(world, guest, *key) for key in calls} == {key: model.reaches(*key) for key in calls}
    world.engine.drop_all_workers()


@settings(max_examples=150, deadline=None)
@given(
    SCENES.filter(lambda scene: lets_in(scene.result)),
    st.sampled_from(("mail", "chat")),
    st.sampled_from((*TRUSTED, *OWN)),
    st.sampled_from((*TRUSTED, "own::f", CONDITION)),
)
def test_triggers(scene: Scene, trigger_type: str, given_id: str, condition: str) -> None:
    world, model = World(scene), Chain(scene)
    guest = world.guest()
    guest.register("own::f")
    stored = model.has("own::f")
    own = {} if stored is None else {"own::f": stored}

    guest.bind("t1", trigger_type, given_id, {"condition_function_id": condition})

    binding = world.engine.core.bindings.get("t1")
    wanted = model.binds_to(trigger_type, given_id, condition, own)
    assert (None if binding is None else binding.function_id) == wanted
    assert world.of(guest) == set(own.values())
    world.engine.drop_all_workers()


@settings(max_examples=100, deadline=None)
@given(SCENES.filter(lambda scene: lets_in(scene.result)), st.lists(st.sampled_from(OWN), max_size=6))
def test_no_session_ever_decides(scene: Scene, own_ids: list[str]) -> None:
    """Whatever it registers, and whatever comes to be trusted later: what decides is trusted, or named in full."""
    world = World(scene)
    guest = world.guest()
    for each in own_ids:
        guest.register(each)
    before = world.of(guest)

    world.engine.core.functions.entrusted.hold("later", ["own::f", "p::own::f"])

    named = set(scene.result.get("register") or ())
    deciders = {*DECIDERS, "own::f", "p::own::f"}
    assert world.of(guest) == before - (deciders - named)
    assert json.dumps(sorted(world.of(guest) & deciders - named)) == "[]"
    world.engine.drop_all_workers()
