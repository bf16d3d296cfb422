"""Who is let in (20 §1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iii.engine.access.admission import Admission, Approach
from iii.engine.access.guard import Access
from iii.engine.access.pattern import NO_PATTERNS, Patterns
from iii.engine.access.rights import BadAuthResult, Rights, read_auth_result
from iii.engine.access.rules import ListenerRules
from iii.protocol.errors import InvocationError
from iii.protocol.limits import AUTH_S, LOGIN_DELAY_S, WAITING_LOGINS
from iii.protocol.query import query_params
from iii.testing import MemoryEngine, MemoryWorker

TOKEN = "iii_" + "x" * 40


class OneToken:
    def find(self, token: str) -> Rights | None:
        return Rights(who="ci") if token == TOKEN else None

    def renewed(self, rights: Rights) -> Rights | None:
        return None


class OneCertificate:
    def find(self, names: tuple[str, ...]) -> Rights | None:
        return Rights(who="orders") if "orders.example" in names else None

    def renewed(self, rights: Rights, before: object) -> Rights | None:
        return rights


class Door:
    """Logs in, and keeps what came of it."""

    def __init__(self, engine: MemoryEngine, tokens: OneToken | None = None, auth: str | None = "app::auth") -> None:
        rules = ListenerRules(listener="rbac", exposed=(), auth_function=auth)
        self.admission = Admission(engine.core.router, engine.clock, rules, tokens)
        self.granted: list[Access] = []
        self.denied: list[str] = []

    def knock(self, *headers: tuple[str, str], query: str = "", ip_address: str = "10.0.0.1") -> Any:
        return self.admission.admit(Approach(headers, query, ip_address), self.decided)

    def decided(self, access: Access | None, error: InvocationError | None) -> None:
        if access is not None:
            self.granted.append(access)
        if error is not None:
            self.denied.append(f"{error.code}: {error.message}")


def auth(engine: MemoryEngine, result: Any) -> MemoryWorker:
    worker = engine.connect(functions=["app::auth"])
    worker.serve(lambda data: result)
    return worker


def test_07_check_15_the_auth_function_is_called_once_with_lower_case_headers(engine: MemoryEngine) -> None:
    worker, door = auth(engine, {"context": {"user_id": "user-1"}}), Door(engine)

    door.knock(("x-test-token", "valid-token"), ("x-odd", "caf\xe9"), ("x-twice", "1"), ("x-twice", "2"), query="a=1")

    (asked,) = worker.invocations()
    assert asked["data"] == {
        "headers": {"x-test-token": "valid-token", "x-twice": "2"}, "query_params": {"a": ["1"]}, "ip_address": "10.0.0.1",
    }  # fmt: skip
    assert [each.rights.context for each in door.granted] == [b'{"user_id": "user-1"}']


def test_07_check_18_an_auth_function_that_fails(engine: MemoryEngine) -> None:
    worker, door = engine.connect(functions=["app::auth"]), Door(engine)
    door.knock()
    worker.answer(worker.invocations()[0], error={"code": "x", "message": "invalid token"})

    assert door.denied == ["AUTH_ERROR: invalid token"]


def test_07_check_19_an_auth_function_that_returns_nothing(engine: MemoryEngine) -> None:
    worker, door = engine.connect(functions=["app::auth"]), Door(engine)
    door.knock()
    worker.answer(worker.invocations()[0])

    assert door.denied == ["AUTH_ERROR: auth function returned no result"]


def test_20_1_a_missing_auth_function(engine: MemoryEngine) -> None:
    door = Door(engine)
    door.knock()

    assert door.denied == ["AUTH_ERROR: Function app::auth not found in namespace default"]


def test_20_1_an_auth_function_that_never_answers(engine: MemoryEngine) -> None:
    engine.connect(functions=["app::auth"])
    door = Door(engine)
    door.knock()
    engine.clock.advance(AUTH_S)

    assert door.denied == ["AUTH_ERROR: invocation timed out after 10000ms"]


def test_20_1_a_client_that_leaves_is_not_decided_about(engine: MemoryEngine) -> None:
    worker, door = engine.connect(functions=["app::auth"]), Door(engine)
    login = door.knock()
    login.withdraw()
    worker.answer(worker.invocations()[0], {})

    assert (door.granted, door.denied) == ([], [])


@pytest.mark.parametrize("result", ["text", 7, True, [], {"allowed_functions": "a"}, {"namespaces": {"a": 1}}])
def test_20_1_an_unusable_result_lets_nobody_in(result: Any) -> None:
    with pytest.raises(BadAuthResult, match="unusable result"):
        read_auth_result(json.dumps(result).encode(), "rbac")


def test_20_1_a_blank_prefix_is_unusable() -> None:
    with pytest.raises(BadAuthResult, match="blank"):
        read_auth_result(b'{"function_registration_prefix": " :: "}', "rbac")


def test_20_1_null_is_absent_and_unknown_members_are_ignored() -> None:
    names = (
        "allowed_functions", "forbidden_functions", "namespaces", "allowed_trigger_types", "context",
        "allow_trigger_type_registration", "allow_function_registration", "function_registration_prefix",
    )  # fmt: skip
    empty, nulls = (read_auth_result(json.dumps(each).encode(), "rbac") for each in ({"x": 1}, dict.fromkeys(names)))

    assert empty == nulls
    assert (empty.allowed, empty.trigger_types, empty.provides, empty.registers) == (NO_PATTERNS, None, False, None)
    assert (empty.context, empty.prefix, empty.calls_urls) == (b"{}", None, False)


def test_20_1_everything_that_a_result_may_say() -> None:
    said = {
        "allowed_functions": ["a", 'match("b::*")'], "forbidden_functions": ["c"], "namespaces": {"n": ["svc::*"]},
        "allowed_trigger_types": ["cron"], "allow_trigger_type_registration": True, "allow_function_registration": False,
        "allow_http_functions": True, "function_registration_prefix": "p",
    }  # fmt: skip
    rights = read_auth_result(json.dumps(said).encode(), "rbac")

    assert rights.allowed == Patterns(["a", "b::*"])
    assert rights.namespaces == {"n": Patterns(["svc::*"])}
    assert (rights.trigger_types, rights.provides, rights.registers) == (frozenset({"cron"}), True, NO_PATTERNS)
    assert (rights.calls_urls, rights.prefix, rights.forbidden) == (True, "p", Patterns(["c"]))


def test_07_check_32_query_parameters(engine: MemoryEngine) -> None:
    parameters = query_params(Approach((), "a=1&a=2&b=&=x&c&d=%20e", None).query)

    assert parameters == {"a": ["1", "2"], "b": [""], "c": [""], "d": ["%20e"]}


def test_20_1_without_auth_function_and_tokens_everybody_is_let_in(engine: MemoryEngine) -> None:
    door = Door(engine, auth=None)
    door.knock()

    assert [each.rights.provides for each in door.granted] == [True]


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ((("authorization", f"Bearer {TOKEN}"),), ""),
        ((("authorization", f"bearer  {TOKEN}"),), ""),
        ((), f"token={TOKEN}"),
    ],
)
def test_20_2_a_token(engine: MemoryEngine, headers: tuple[tuple[str, str], ...], query: str) -> None:
    door = Door(engine, OneToken(), auth=None)
    door.knock(*headers, query=query)

    assert [each.rights.who for each in door.granted] == ["ci"]


def test_20_2_no_token_and_a_wrong_one(engine: MemoryEngine) -> None:
    door = Door(engine, OneToken(), auth=None)
    door.knock()
    door.knock(query="token=wrong", ip_address="10.0.0.2")

    assert door.denied == ["AUTH_ERROR: a token is required", "AUTH_ERROR: the token is unknown"]


def test_20_2_beside_tokens_the_auth_function_decides_about_others(engine: MemoryEngine) -> None:
    worker, door = auth(engine, {}), Door(engine, OneToken())
    door.knock(query="token=other")
    door.knock(query=f"token={TOKEN}")

    assert [each.rights.who for each in door.granted] == ["auth function", "ci"]
    assert len(worker.invocations()) == 1


# -- failures -------------------------------------------------------------------------------------------------------


def test_L8_failures_of_one_address_are_delayed_and_of_others_not(engine: MemoryEngine) -> None:
    door = Door(engine)
    door.knock()
    assert len(door.denied) == 1

    door.knock()
    assert len(door.denied) == 1
    door.knock(ip_address="10.0.0.2")
    assert len(door.denied) == 2
    engine.clock.advance(0.1)
    assert len(door.denied) == 3


def test_L8_the_delay_doubles_up_to_five_seconds_and_ends_with_a_success(engine: MemoryEngine) -> None:
    door, waited = Door(engine), list[float]()
    for _ in range(10):
        began = engine.clock.now()
        login = door.knock()
        for _ in range(200):
            if login.pending:
                engine.clock.advance(0.05)
        waited.append(round(engine.clock.now() - began, 1))

    assert waited == sorted(waited)
    assert waited[:4] == [0.0, 0.1, 0.2, 0.4]
    assert waited[-1] == LOGIN_DELAY_S
    auth(engine, {})
    door.knock()
    engine.clock.advance(LOGIN_DELAY_S)
    assert len(door.granted) == 1
    door.knock()
    assert len(door.granted) == 2


def test_L8_known_tokens_are_not_delayed(engine: MemoryEngine) -> None:
    door = Door(engine, OneToken(), auth=None)
    for _ in range(50):
        door.knock(query="token=wrong")

    door.knock(query=f"token={TOKEN}")

    assert len(door.granted) == 1
    engine.clock.advance(100)


def test_L8_ten_thousand_failures_keep_little(engine: MemoryEngine) -> None:
    door = Door(engine)
    for _ in range(10_000):
        door.knock()

    waiting = 10_000 - len(door.denied)
    assert waiting <= WAITING_LOGINS
    assert "too many failed logins from this address" in door.denied[-1]
    for number in range(20_000):
        door.knock(ip_address=f"10.{number // 250}.{number % 250}.7")
    assert len(door.admission.failed_logins) <= 10_000
    engine.clock.advance(100)
    assert len(engine.clock.timers) == 0


@pytest.mark.parametrize(
    ("headers", "certified", "who", "denied"),
    [
        ((("authorization", f"Bearer {TOKEN}"),), ("orders.example",), "ci", None),  # the token counts first
        ((("authorization", "Bearer wrong"),), ("x", "orders.example"), "orders", None),
        ((), ("orders.example",), "orders", None),
        ((), ("other.example",), None, "no entry of rbac.certificates is for the client certificate of other.example"),
        ((), (), None, "a token or a client certificate is required"),
        ((("authorization", "Bearer wrong"),), (), None, "the token is unknown"),
    ],
)
def test_22_4_a_known_certificate_lets_in_behind_a_known_token(
    engine: MemoryEngine,
    headers: tuple[tuple[str, str], ...],
    certified: tuple[str, ...],
    who: str | None,
    denied: str | None,
) -> None:
    door = Door(engine, OneToken(), auth=None)
    door.admission.certificates = OneCertificate()
    door.admission.admit(Approach(headers, "", "10.0.0.1", certified), door.decided)
    assert [each.rights.who for each in door.granted] == ([] if who is None else [who])
    assert door.denied == ([] if denied is None else [f"AUTH_ERROR: {denied}"])


def test_22_4_the_auth_function_gets_the_names_of_a_certificate() -> None:
    asked = json.loads(Approach((), "", "10.0.0.1", ("a", "b")).input())
    assert asked["certificate_names"] == ["a", "b"]
    assert "certificate_names" not in json.loads(Approach((), "", "10.0.0.1").input())


def test_20_3_an_auth_result_that_makes_no_sense_lets_nobody_in(engine: MemoryEngine) -> None:
    auth(engine, {"allowed_functions": 5})
    door = Door(engine)
    door.knock()
    assert door.granted == []
    (denied,) = door.denied
    assert denied.startswith("AUTH_ERROR: ")


def test_20_3_rights_that_forbid_what_clients_need_are_told_of(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    auth(engine, {"forbidden_functions": ["engine::workers::register"]})
    door = Door(engine)
    door.knock()
    assert len(door.granted) == 1
    assert "Rights forbid a function that clients need" in caplog.text
