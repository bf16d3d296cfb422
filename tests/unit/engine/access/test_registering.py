"""What sessions register: gates, hooks, prefix (20 §3)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.engine.access.guard import Access
from iii.engine.access.pattern import NO_PATTERNS, Patterns
from iii.engine.access.rights import Rights, read_auth_result
from iii.engine.access.rules import Hooks, ListenerRules
from iii.protocol.limits import HOOK_S
from iii.testing import MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import access, echoes, error_of, raw, refused_triggers

HOOKS = Hooks(function="hook::f", trigger="hook::t", trigger_type="hook::tt")


def hooked(engine: MemoryEngine, verdict: Any) -> MemoryWorker:
    """The worker with the hooks; each says this."""
    hook = engine.connect(functions=["hook::f", "hook::t", "hook::tt"])
    hook.serve(lambda data: verdict)
    return hook


def test_07_check_23_prefix(engine: MemoryEngine) -> None:
    guest = engine.connect(functions=["echo"], access=access(prefix="test-prefix"))
    echoes(guest)
    trusted = engine.connect()

    assert trusted.result_of("test-prefix::echo", {"n": 1}) == {"n": 1}
    assert guest.invocations()[-1]["function_id"] == "echo"
    assert error_of(guest, "test-prefix::echo")[0] == "FORBIDDEN"
    assert error_of(trusted, "echo")[0] == "function_not_found"
    guest.unregister("echo")
    assert error_of(trusted, "test-prefix::echo")[0] == "function_not_found"


def test_N2_a_call_of_a_prefixed_function_waits_for_its_registration(engine: MemoryEngine) -> None:
    guest = engine.connect(functions=["echo"], announce=False, access=access(prefix="p"))
    echoes(guest)

    call = (trusted := engine.connect()).start_call("p::echo", {"n": 1})
    guest.announce(name="g", version="0.25.0")

    assert (trusted.answer_to(call) or {})["result"] == {"n": 1}


def test_07_check_20_a_hook_denies_one_function(engine: MemoryEngine) -> None:
    hook = engine.connect(functions=["hook::f"])
    hook.serve(lambda data: {} if data["function_id"] == "good::fn" else None)
    guest = engine.connect(functions=["denied::fn", "good::fn"], access=access(hooks=Hooks(function="hook::f")))
    echoes(guest)
    trusted = engine.connect()

    assert error_of(trusted, "denied::fn")[0] == "function_not_found"
    assert trusted.result_of("good::fn", {"n": 1}) == {"n": 1}
    assert guest.connected


def test_07_check_21_a_hook_maps_ids(engine: MemoryEngine) -> None:
    hook = hooked(engine, {"function_id": "mapped", "description": "new", "metadata": {"m": 1}, "x": 7})
    guest = engine.connect(functions=["mine"], access=access(hooks=Hooks(function="hook::f")))
    echoes(guest)
    trusted = engine.connect()

    assert trusted.result_of("mapped", {"n": 1}) == {"n": 1}
    assert guest.invocations()[-1]["function_id"] == "mine"
    function = engine.core.functions.find("mapped", None)
    assert function is not None
    assert (function.description, function.metadata) == ("new", b'{"m": 1}')
    guest.unregister("mine")
    assert error_of(trusted, "mapped")[0] == "function_not_found"
    assert hook.invocations()[0]["data"] == {
        "function_id": "mine", "description": None, "metadata": None, "namespace": "default", "context": {},
    }  # fmt: skip


def test_07_check_21_a_hook_maps_triggers(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    hook = hooked(engine, {"trigger_id": "t-mapped", "config": {"x": 1}})
    context = b'{"user":"u"}'
    guest = engine.connect(access=access('match("*")', hooks=Hooks(trigger="hook::t"), context=context))

    guest.bind("t1", "mail", "svc::f", {"x": 0}, metadata={"k": 1})

    binding = engine.core.bindings.get("t-mapped")
    assert binding is not None
    assert (binding.config, engine.core.bindings.get("t1")) == (b'{"x": 1}', None)
    assert hook.invocations()[0]["data"] == {
        "trigger_id": "t1", "trigger_type": "mail", "function_id": "svc::f", "config": {"x": 0}, "metadata": {"k": 1},
        "namespace": "default", "context": {"user": "u"},
    }  # fmt: skip
    guest.say({"type": "unregistertrigger", "id": "t1"})
    assert engine.core.bindings.get("t-mapped") is None


@pytest.mark.parametrize(("verdict", "allowed"), [(None, False), ("ok", False), (True, False), ([], False), ({}, True)])
def test_07_check_22_only_an_object_allows(engine: MemoryEngine, verdict: Any, allowed: bool) -> None:
    hooked(engine, verdict)
    engine.connect().provide("mail")
    guest = engine.connect(functions=["f"], access=access('match("f")', hooks=HOOKS))
    guest.bind("t1", "mail", "f")
    guest.provide("own-type")

    assert (engine.core.functions.find("f", None) is not None) is allowed
    assert (engine.core.bindings.get("t1") is not None) is allowed
    assert (engine.core.trigger_types.get(("default", "own-type")) is not None) is allowed
    assert ("t1" in refused_triggers(guest)) is not allowed


def test_20_3_a_missing_hook_denies(engine: MemoryEngine) -> None:
    engine.connect(functions=["f"], access=access(hooks=HOOKS))

    assert engine.core.functions.find("f", None) is None


def test_20_3_a_slow_hook_delays_what_follows_and_in_the_end_denies(engine: MemoryEngine) -> None:
    hook = engine.connect(functions=["hook::f"])
    echoes(engine.connect(functions=["api::a"]))
    guest = engine.connect(access=access('match("api::*")', hooks=Hooks(function="hook::f")))
    guest.register("f")
    call = guest.start_call("api::a", {"n": 1})
    assert guest.answer_to(call) is None

    engine.clock.advance(HOOK_S)

    assert (guest.answer_to(call) or {})["result"] == {"n": 1}
    assert engine.core.functions.find("f", None) is None
    hook.answer(hook.invocations()[0], {})
    assert engine.core.functions.find("f", None) is None


def test_07_check_22_a_hook_on_the_sessions_own_connection_works(engine: MemoryEngine) -> None:
    echoes(engine.connect(functions=["api::a"]))
    guest = engine.connect(functions=["hook::t"], access=access('match("*")', hooks=Hooks(trigger="hook::t")))
    engine.connect().provide("mail")

    guest.bind("t1", "mail", "api::a")
    call = guest.start_call("api::a", {"n": 1})
    (asked,) = guest.invocations()
    guest.answer(asked, {})

    assert engine.core.bindings.get("t1") is not None
    assert (guest.answer_to(call) or {})["result"] == {"n": 1}


@pytest.mark.parametrize(("named", "served"), [(["*"], False), (["hook::t", "api::*"], True)])
def test_07_check_22_a_hook_of_a_session_that_an_auth_function_let_in(
    engine: MemoryEngine, named: list[str], served: bool
) -> None:
    """The hook of the configuration is its own, if the auth function names it in full."""
    engine.core.functions.entrusted.hold("config", ["hook::t"])
    result = {"register": named, "allowed_functions": ["api::a"]}
    let_in = read_auth_result(raw(result), "rbac")
    rules = ListenerRules(listener="rbac", exposed=(), hooks=Hooks(trigger="hook::t"))
    guest = engine.connect(functions=["hook::t", "api::a", "other::b"], access=Access(rules, let_in))
    engine.connect().provide("mail")

    guest.bind("t1", "mail", "api::a")
    for asked in guest.invocations():
        guest.answer(asked, {})

    assert (engine.core.functions.find("hook::t", None) is not None) is served
    assert (engine.core.bindings.get("t1") is not None) is served
    assert (engine.core.functions.find("other::b", None) is None) is served  # not in `register`


def test_20_3_the_announcement_is_answered_after_the_hooks(engine: MemoryEngine) -> None:
    hook = engine.connect(functions=["hook::f"])
    guest = engine.connect(functions=["f", "g"], announce=False, access=access(hooks=Hooks(function="hook::f")))
    call = guest.start_call("engine::workers::register", {"name": "g", "version": "0.25.0"})
    assert guest.answer_to(call) is None

    for number in range(2):
        hook.answer(hook.invocations()[number], {})

    assert (guest.answer_to(call) or {})["result"] == {"success": True}
    assert [engine.core.functions.find(each, None) is not None for each in "fg"] == [True, True]


def test_20_3_a_session_that_leaves_leaves_nothing_behind(engine: MemoryEngine) -> None:
    hook = engine.connect(functions=["hook::f"])
    guest = engine.connect(functions=["f", "g"], access=access(hooks=Hooks(function="hook::f")))
    guest.drop()

    hook.answer(hook.invocations()[0], {})

    assert engine.core.functions.find("f", None) is None
    assert not hook.session.handling


def test_07_check_24_trigger_types(engine: MemoryEngine) -> None:
    """Without a word of the auth function none; without an auth function they may be registered."""
    rules = ListenerRules(listener="rbac", exposed=())
    said = {
        "silent": b"{}",
        "no": b'{"allow_trigger_type_registration":false}',
        "yes": b'{"allow_trigger_type_registration":true}',
    }
    for name, result in said.items():
        engine.connect(access=Access(rules, read_auth_result(result, "rbac"))).provide(name)
    engine.connect(access=Access(rules, rules.anonymous)).provide("anonymous")

    provided = {each for each in (*said, "anonymous") if engine.core.trigger_types.get(("default", each)) is not None}
    assert provided == {"yes", "anonymous"}


def test_07_check_25_allowed_trigger_types(engine: MemoryEngine) -> None:
    engine.connect().provide("http")
    guest = engine.connect(access=access('match("*")', trigger_types=frozenset({"cron"})))

    guest.bind("t1", "http", "f")

    assert engine.core.bindings.get("t1") is None
    assert refused_triggers(guest)["t1"] == ("FORBIDDEN", "Trigger type 'http' is not allowed for this session.")


def test_20_3_function_registration_may_be_denied_or_limited(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.connect(functions=["a::f"], access=access(registers=NO_PATTERNS, by_auth_function=True))
    engine.connect(functions=["b::f", "c::f"], access=access(registers=Patterns(["b::*"])))

    assert [engine.core.functions.find(f"{each}::f", None) is not None for each in "abc"] == [False, True, False]
    assert [getattr(each, "fields", {}).get("reason") for each in caplog.records] == [
        "function registration not allowed for this session (`allow_function_registration` is false)",
        "function registration not allowed for this session (not in its `register`)",
    ]


def test_20_3_functions_that_are_urls_need_a_right(engine: MemoryEngine) -> None:
    """The engine would send the secrets that they name to any address."""

    class Caller:
        deliver = None

        def take(self, function: object) -> None:
            pass

    engine.core.functions.call_urls(Caller())  # type: ignore[arg-type]
    url = {"invocation": {"url": "https://evil.example", "auth": {"type": "bearer", "token_key": "SECRET"}}}
    denied, allowed = engine.connect(access=access()), engine.connect(access=access(calls_urls=True))
    denied.register("a", **url)
    allowed.register("b", **url)

    assert [engine.core.functions.find(each, None) is not None for each in "ab"] == [False, True]


def test_07_check_34_the_target_of_a_trigger(engine: MemoryEngine) -> None:
    trusted = engine.connect(functions=["app::private"])
    trusted.provide("mail")
    trusted.bind("theirs", "mail", "app::private")
    guest = engine.connect(functions=["f"], access=access())

    guest.bind("own", "mail", "f")
    guest.bind("other", "mail", "app::private")
    guest.say({"type": "unregistertrigger", "id": "theirs"})

    assert engine.core.bindings.get("own") is not None
    assert engine.core.bindings.get("other") is None
    assert engine.core.bindings.get("theirs") is not None
    assert refused_triggers(guest) == {
        "other": ("FORBIDDEN", "function 'app::private' not allowed in namespace 'default'")
    }


def test_20_3_the_prefix_is_part_of_a_triggers_target(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    guest = engine.connect(functions=["f"], access=access(prefix="p"))

    guest.bind("own", "mail", "f")

    binding = engine.core.bindings.get("own")
    assert binding is not None
    assert binding.function_id == "p::f"


def test_20_3_triggers_by_call_are_judged_too(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    exposed = ('match("engine::register_trigger")', 'match("p::api::*")')
    guest = engine.connect(
        functions=["f"], access=access(*exposed, prefix="p", trigger_types=frozenset({"mail", "cron"}))
    )
    call = "engine::register_trigger"

    assert error_of(guest, call, {"trigger_type": "http", "function_id": "f"}) == (
        "FORBIDDEN",
        "Trigger type 'http' is not allowed for this session.",
    )
    assert error_of(guest, call, {"trigger_type": "mail", "function_id": "f"})[0] == "FORBIDDEN"
    made = guest.start_call(call, {"trigger_type": "mail", "function_id": "api::a"})
    (binding,) = engine.core.bindings
    assert (binding.function_id, binding.owner) == ("p::api::a", None)
    engine.clock.advance(20)
    assert (guest.answer_to(made) or {})["result"] == {"id": binding.id}


def test_20_3_types_of_triggers_count_for_durable_ones_too(engine: MemoryEngine) -> None:
    guest = engine.connect(access=access('match("*")', trigger_types=frozenset({"cron"})))
    guest.bind("t", "http", "svc::f", {})
    assert refused_triggers(guest)["t"] == ("FORBIDDEN", "Trigger type 'http' is not allowed for this session.")
    code, text = error_of(
        guest, "engine::register_trigger", {"trigger_type": "http", "function_id": "svc::f", "config": {}}
    )
    assert (code, text) == ("FORBIDDEN", "Trigger type 'http' is not allowed for this session.")
    wide = engine.connect(access=access('match("*")'))
    request = {"trigger_type": "engine::functions-available", "function_id": "svc::f", "config": {}}
    code, text = error_of(wide, "engine::register_trigger", request)
    assert code == "FORBIDDEN"
    assert "is for triggers that leave with their session" in text


def test_20_9_a_listener_with_middleware_alone_lets_its_sessions_register_what_they_like(engine: MemoryEngine) -> None:
    trusted = Access(ListenerRules(listener="l", middleware="gate::check"), Rights())
    guest = engine.connect(functions=["svc::f"], access=trusted)
    guest.bind("t", "http", "others::f", {})
    assert "t" not in refused_triggers(guest)
    request = {"trigger_type": "http", "function_id": "others::f", "config": {}}
    assert "error" not in guest.call("engine::register_trigger", request)
