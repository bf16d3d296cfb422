"""The rules of a listener change while sessions are connected (20 §10)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.engine.access.admission import Admission, Approach
from iii.engine.access.changed_rules import change_rules
from iii.engine.access.filters import read_filter
from iii.engine.access.guard import Access
from iii.engine.access.made_triggers import change_made, revoke_made
from iii.engine.access.pattern import NO_PATTERNS, Patterns
from iii.engine.access.rights import Rights, read_auth_result
from iii.engine.access.rules import Hooks, ListenerRules
from iii.engine.turns import STEPS
from iii.testing import MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import echoes, error_of, refused_triggers
from tests.unit.engine.observing.scene import V1, changes, observe, old


class ByIdentity:
    """Tokens, of which only what becomes of a session counts here."""

    def __init__(self, *rights: Rights) -> None:
        self._rights = {each.identity: each for each in rights}

    def find(self, token: str) -> Rights | None:
        return None

    def renewed(self, rights: Rights) -> Rights | None:
        return self._rights.get(rights.identity)


def rights(**members: Any) -> Rights:
    return Rights(**{"who": "guest", "identity": "rbac\0token\0guest", **members})


class Listener:
    """One with tokens."""

    def __init__(self, engine: MemoryEngine, *exposed: str, **members: Any) -> None:
        self._engine = engine
        self.rules = ListenerRules(listener="rbac", exposed=tuple(map(read_filter, exposed)), **members)
        self.admission = Admission(engine.core.router, engine.clock, self.rules, ByIdentity())

    def connect(self, given: Rights, **options: Any) -> MemoryWorker:
        return self._engine.connect(access=Access(self.rules, given), **options)

    def change(self, *exposed: str, tokens: tuple[Rights, ...] | None = (), **members: Any) -> None:
        rules = ListenerRules(listener="rbac", exposed=tuple(map(read_filter, exposed)), **members)
        by = None if tokens is None else ByIdentity(*tokens)
        change_rules(
            self._engine.core, self.admission, Admission(self._engine.core.router, self._engine.clock, rules, by)
        )


def test_20_check_41_a_session_goes_on_with_other_rights(engine: MemoryEngine) -> None:
    trusted = engine.connect(functions=["api::a", "api::b"])
    echoes(trusted)
    listener = Listener(engine, 'match("api::a")')
    guest = listener.connect(rights())
    assert guest.result_of("api::a", {}) == {}

    listener.change('match("api::b")', tokens=(rights(),))

    assert guest.connected
    assert guest.result_of("api::b", {}) == {}
    assert error_of(guest, "api::a")[0] == "FORBIDDEN"


def test_20_check_41_what_a_session_may_no_longer_observe_stops(engine: MemoryEngine) -> None:
    old(engine, "api::a")
    listener = Listener(engine, 'match("api::*")')
    guest = listener.connect(rights(), functions=["own::t"], features=V1)
    assert observe(guest, "o", "api::a", "own::t")["state"] == "active"

    listener.change('match("other::*")', tokens=(rights(),))

    assert changes(guest, "o") == [("suspended", "FORBIDDEN")]
    guest.say({"type": "unobserve", "id": "o"})  # whose time of grace would outlast the test


def test_20_check_41_what_is_no_longer_allowed_is_withdrawn(engine: MemoryEngine) -> None:
    trusted = engine.connect(functions=["api::a"])
    echoes(trusted)
    listener = Listener(engine, 'match("api::*")')
    guest = listener.connect(rights(), functions=["guest::stays", "guest::goes"])
    echoes(guest)
    guest.provide("guest::type")
    guest.bind("own", "guest::type", "guest::stays")
    guest.bind("of-a", "guest::type", "api::a")
    guest.bind("of-goes", "guest::type", "guest::goes")

    listener.change(tokens=(rights(registers=Patterns(["guest::stays"])),))

    assert guest.connected
    assert trusted.result_of("guest::stays", {}) == {}
    assert error_of(trusted, "guest::goes")[0] == "function_not_found"
    assert {each.id for each in engine.core.bindings} == {"own"}
    assert refused_triggers(guest)["of-a"][0] == "FORBIDDEN"

    listener.change(tokens=(rights(registers=NO_PATTERNS, provides=False),))

    assert guest.connected
    assert error_of(trusted, "guest::stays")[0] == "function_not_found"
    assert not [each for each in engine.core.trigger_types if each.id == "guest::type"]


def test_20_check_41_a_token_that_no_longer_names_what_decides_loses_it(engine: MemoryEngine) -> None:
    engine.core.functions.entrusted.hold("config", ["app::hook"])
    listener = Listener(engine)
    guest = listener.connect(
        rights(registers=Patterns(["app::hook", "app::other"])), functions=["app::hook", "app::other"]
    )

    listener.change(tokens=(rights(registers=Patterns(["app::*"])),))

    assert guest.connected
    assert engine.core.functions.find("app::hook", None) is None
    assert engine.core.functions.find("app::other", None) is not None


@pytest.mark.parametrize("tokens", [(), None], ids=["another token", "no tokens"])
def test_20_check_42_a_session_whose_token_is_gone_is_closed(
    engine: MemoryEngine, tokens: tuple[Rights, ...] | None, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(engine)
    guest, other = listener.connect(rights()), engine.connect(functions=["api::a"])
    listener.change(tokens=tokens, auth_function="app::auth")
    assert guest.link.closed_with == 4401
    (said,) = guest.heard("error")
    assert said["error"]["code"] == "AUTH_ERROR"
    assert other.connected
    assert "access.revoked" in {getattr(each, "event", "") for each in caplog.records}


def test_20_check_42_a_session_of_another_prefix_comes_again(engine: MemoryEngine) -> None:
    listener = Listener(engine)
    guest = listener.connect(rights(), functions=["f"])
    listener.change(tokens=(rights(prefix="p"),))
    assert guest.link.closed_with == 1012


def test_20_check_42_sessions_of_an_auth_function_stay_while_it_does(engine: MemoryEngine) -> None:
    given = read_auth_result(b"{}", "rbac")
    listener = Listener(engine, auth_function="app::auth")
    guest = listener.connect(given)
    listener.change(auth_function="app::auth", tokens=None)
    assert guest.connected
    listener.change(auth_function="app::other", tokens=None)
    assert guest.link.closed_with == 4401


def test_20_check_42_anonymous_sessions_stay_while_everybody_is_let_in(engine: MemoryEngine) -> None:
    listener = Listener(engine)
    listener.admission.tokens = None
    guest = listener.connect(listener.rules.anonymous)
    listener.change('match("api::*")', tokens=None)
    assert guest.connected
    listener.change(tokens=())
    assert guest.link.closed_with == 4401


def test_20_check_42_a_login_under_way_is_judged_by_the_new_rules(engine: MemoryEngine) -> None:
    auth = engine.connect(functions=["app::auth"])
    listener = Listener(engine, auth_function="app::auth")
    listener.admission.tokens = None
    told: list[str] = []
    listener.admission.admit(Approach((), "", None), lambda access, error: told.append(str(error)))
    listener.change(auth_function="app::other", tokens=None)
    auth.answer(auth.invocations()[0], {})
    assert told == ["AUTH_ERROR: the rules of this listener have changed; try again"]


def make_trigger(guest: MemoryWorker, function_id: str, **config: Any) -> None:
    guest.start_call("engine::register_trigger", {"trigger_type": "mail", "function_id": function_id, "config": config})


def targets(engine: MemoryEngine) -> list[str]:
    everywhere = (*engine.core.bindings, *engine.core.bindings.parked.values())
    return sorted(each.function_id for each in everywhere)


EXPOSED = ('match("engine::register_trigger")', 'match("api::*")')


@pytest.mark.parametrize("connected", [True, False])
def test_20_check_47_triggers_by_call_go_with_the_token_of_their_maker(
    engine: MemoryEngine, connected: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """They outlive a session, not what let it in; those of others stay."""
    provider = engine.connect()
    provider.provide("mail")
    listener = Listener(engine, *EXPOSED)
    other = rights(identity="rbac\0token\0other", who="other")
    guest, third = listener.connect(rights()), listener.connect(other)
    make_trigger(guest, "api::a")
    make_trigger(guest, "api::b", condition_function_id="api::c")
    make_trigger(third, "api::d")
    make_trigger(provider, "api::e")
    if not connected:
        guest.drop()
    listener.change(*EXPOSED, tokens=(rights(), other))
    assert targets(engine) == ["api::a", "api::b", "api::d", "api::e"]

    listener.change(*EXPOSED, tokens=(other,))

    assert targets(engine) == ["api::d", "api::e"]
    assert caplog.text.count("what let its maker in is gone") == 2
    listener.change(*EXPOSED, tokens=None)
    assert targets(engine) == ["api::e"]


def test_20_10_triggers_by_call_that_their_maker_could_no_longer_make_go(engine: MemoryEngine) -> None:
    listener = Listener(engine, *EXPOSED)
    guest = listener.connect(rights())
    make_trigger(guest, "api::a", condition_function_id="api::c")  # parked: nobody provides the type
    make_trigger(guest, "api::b")

    listener.change(EXPOSED[0], 'match("api::a")', 'match("api::b")', tokens=(rights(),))
    assert targets(engine) == ["api::b"]
    listener.change(*EXPOSED, tokens=(rights(trigger_types=frozenset({"cron"})),))
    assert targets(engine) == []
    assert guest.connected


def test_20_10_triggers_by_call_go_with_the_listener_of_their_maker(engine: MemoryEngine) -> None:
    listener = Listener(engine, *EXPOSED)
    make_trigger(listener.connect(rights()), "api::a")
    make_trigger(engine.connect(), "api::b")

    revoke_made(engine.core, "another")
    assert targets(engine) == ["api::a", "api::b"]
    revoke_made(engine.core, "rbac")

    assert targets(engine) == ["api::b"]


def test_20_10_a_listener_that_comes_again_judges_them_by_its_rules(engine: MemoryEngine) -> None:
    listener = Listener(engine, *EXPOSED)
    make_trigger(listener.connect(rights()), "api::a")

    again = ListenerRules(listener="rbac", exposed=())
    change_made(engine.core, Admission(engine.core.router, engine.clock, again, ByIdentity(rights())), "rbac")

    assert targets(engine) == []


def test_20_5_what_a_session_names_in_a_trigger_by_call_is_not_trusted_to_decide(engine: MemoryEngine) -> None:
    """It would take the id from others."""
    listener = Listener(engine, *EXPOSED)
    make_trigger(listener.connect(rights()), "api::a", condition_function_id="api::c")
    stranger = listener.connect(rights(identity="other"), functions=["api::c"])

    assert engine.core.functions.ownership.claims_of(stranger.session)
    assert len(engine.core.functions.entrusted) == 0


def test_20_10_a_registration_that_a_hook_decides_is_judged_by_the_rules_after_it(engine: MemoryEngine) -> None:
    hook, trusted = engine.connect(functions=["hook::f", "hook::tt"]), engine.connect()
    hooks = Hooks(function="hook::f", trigger_type="hook::tt")
    listener = Listener(engine, hooks=hooks)
    guest, other = listener.connect(rights(), functions=["guest::f"]), listener.connect(rights())
    other.provide("guest::type")
    asked = hook.invocations()

    listener.change(tokens=(rights(registers=NO_PATTERNS, provides=False),), hooks=hooks)
    for each in asked:
        hook.answer(each, {})

    assert len(asked) == 2
    assert guest.connected
    assert error_of(trusted, "guest::f")[0] == "function_not_found"
    assert not [each for each in engine.core.trigger_types if each.id == "guest::type"]


def test_20_10_what_is_sent_after_the_hooks_are_gone_waits_for_those_before(engine: MemoryEngine) -> None:
    hook, trusted = engine.connect(functions=["hook::f"]), engine.connect()
    listener = Listener(engine, hooks=Hooks(function="hook::f"))
    guest = listener.connect(rights(), functions=["guest::f"])

    listener.change(tokens=(rights(),))
    guest.unregister("guest::f")
    hook.answer(hook.invocations()[0], {})

    assert error_of(trusted, "guest::f")[0] == "function_not_found"


def test_20_10_a_session_may_leave_before_its_registrations_are_looked_at(engine: MemoryEngine) -> None:
    """Those of others take the whole turn; what has ended is judged no more."""
    listener = Listener(engine)
    many = listener.connect(rights(), functions=[f"guest::{each}" for each in range(2 * STEPS)])
    leaves = listener.connect(rights(), functions=["guest::own"])

    listener.change(tokens=(rights(),))
    leaves.drop()
    engine.clock.advance(1)

    assert many.connected
    assert engine.core.functions.find("guest::own", None) is None
    assert engine.core.functions.find("guest::0", None) is not None


def test_20_10_a_session_may_leave_while_its_registrations_are_withdrawn(engine: MemoryEngine) -> None:
    listener = Listener(engine)
    guest = listener.connect(rights(), functions=[f"guest::{each}" for each in range(3 * STEPS)])
    listener.change(tokens=(rights(registers=NO_PATTERNS),))
    guest.kill()
    engine.clock.advance(1)
    assert not [each for each in engine.core.functions if each.id.startswith("guest::")]
