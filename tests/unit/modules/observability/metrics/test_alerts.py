"""Alerts (16 §6)."""

import logging
from typing import Any

import msgspec
import pytest

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.metrics.alert_rule import AlertRule
from iii.modules.observability.metrics.alert_values import Growth
from tests.unit.modules.observability.metrics.engine_with_metrics import EngineWithMetrics


def engine_with(*rules: dict[str, Any], **config: Any) -> EngineWithMetrics:
    """Its alerts are looked at when a test says so, or every 10 s."""
    given = msgspec.convert([{"threshold": 10, **rule} for rule in rules], tuple[AlertRule, ...])
    engine = EngineWithMetrics(alerts=given, **config)
    engine.module.metrics.alerts.apply(given)
    return engine


def warnings(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record).get("fields", {}) for record in caplog.records if record.levelno == logging.WARNING]


def not_delivered(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [fields for fields in warnings(caplog) if "alert" in fields or "function" in fields]


def test_06_check_54_an_alert_has_a_state_and_a_cooldown() -> None:
    engine = engine_with({"name": "busy", "metric": "iii.invocations.total"})
    for _ in range(11):
        engine.worker.call("nobody::has")
    (alert,) = engine.ask("alerts::evaluate")["triggered_alerts"]
    now = engine.clock.time_ms()
    assert alert["value"] >= 11
    assert {key: alert[key] for key in ("name", "metric", "threshold", "operator", "firing", "timestamp")} == {
        "name": "busy", "metric": "iii.invocations.total", "threshold": 10.0, "operator": "GreaterThan", "firing": True,
        "timestamp": now,
    }  # fmt: skip
    second = engine.ask("alerts::evaluate")
    assert (second["evaluated"], second["triggered_alerts"]) == (True, [])
    listed = engine.ask("alerts::list")
    (state,) = listed["alerts"]
    assert (state["firing"], state["last_triggered"], state["last_evaluated"]) == (True, now, now)
    assert listed["firing_count"] == 1
    assert listed["rules"] == [
        {
            "name": "busy", "metric": "iii.invocations.total", "threshold": 10.0, "operator": "greaterthan",
            "window_seconds": 60, "windowed": False, "cooldown_seconds": 60, "enabled": True, "action": {"type": "log"},
        }
    ]  # fmt: skip
    engine.clock.advance(60)
    assert engine.ask("alerts::list")["alerts"][0]["last_triggered"] > now  # looked at every 10 s
    engine.module.metrics.apply(ObservabilityConfig())
    assert engine.ask("alerts::list")["alerts"] == []


@pytest.mark.parametrize(("kind", "value"), [("gauge", 20.0), ("counter", 60.0), ("updowncounter", 60.0)])
def test_06_check_55_a_gauge_is_a_mean_and_a_counter_a_sum(kind: Any, value: float) -> None:
    engine = engine_with({"name": "a", "metric": "m"})
    assert engine.ask("alerts::evaluate")["triggered_alerts"] == []
    assert engine.ask("alerts::list")["alerts"] == []
    engine.take(engine.metric("m", 1000, kind=kind))
    engine.clock.advance(61)
    engine.take(engine.metric("m", 10, 20, kind=kind), engine.metric("m", 30, kind=kind))
    engine.ask("alerts::evaluate")
    assert engine.ask("alerts::list")["alerts"][0]["current_value"] == value


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({"type": "webhook", "url": "http://127.0.0.1/x"}, "Private IP blocked"),
        ({"type": "webhook", "url": "http://0x7f.1/x"}, "Private IP blocked"),
        ({"type": "webhook", "url": "http://169.254.169.254/"}, "Private IP blocked"),
        ({"type": "webhook", "url": "http://[::1]/"}, "Private IP blocked"),
        ({"type": "function", "path": "engine::traces::clear"}, None),
    ],
)
def test_06_check_56_what_leads_inside_is_refused_and_counts_as_triggered(
    action: dict[str, Any], reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_with({"name": "a", "metric": "m", "action": action})
    engine.take(engine.metric("m", 11))
    assert len(engine.ask("alerts::evaluate")["triggered_alerts"]) == 1
    assert engine.ask("alerts::evaluate")["triggered_alerts"] == []
    assert engine.ask("alerts::list")["alerts"][0]["last_triggered"] == engine.clock.time_ms()
    messages = [record.getMessage() for record in caplog.records]
    assert len([each for each in messages if "target rejected" in each and (reason or action["path"]) in each]) == 1


def test_06_check_57_a_function_gets_seven_keys() -> None:
    engine = engine_with({"name": "a", "metric": "m", "action": {"type": "function", "path": "ops::page"}})
    pager = engine.engine.connect(functions=["ops::page"])
    engine.take(engine.metric("m", 11))
    engine.ask("alerts::evaluate")
    (call,) = pager.invocations()
    assert call["data"] == {
        "alert": "a", "metric": "m", "value": 11.0, "threshold": 10.0, "operator": "GreaterThan",
        "timestamp": engine.clock.time_ms(), "firing": True,
    }  # fmt: skip


def test_16_s6_an_alert_whose_function_is_not_registered_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = engine_with({"name": "a", "metric": "m", "action": {"type": "function", "path": "ops::pge"}})
    engine.take(engine.metric("m", 11))
    assert len(engine.ask("alerts::evaluate")["triggered_alerts"]) == 1
    assert not_delivered(caplog) == [
        {
            "alert": "a", "function": "ops::pge", "code": "function_not_found",
            "reason": "Function ops::pge not found in namespace default",
        }
    ]  # fmt: skip


def test_16_s6_an_alert_whose_function_fails_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_with({"name": "a", "metric": "m", "action": {"type": "function", "path": "ops::page"}})
    pager = engine.engine.connect(functions=["ops::page"])
    engine.take(engine.metric("m", 11))
    engine.ask("alerts::evaluate")
    (call,) = pager.invocations()
    pager.answer(call, error={"code": "no_signal", "message": "The pager is off"})
    assert not_delivered(caplog) == [
        {"alert": "a", "function": "ops::page", "code": "no_signal", "reason": "The pager is off"}
    ]


def test_16_s6_an_alert_whose_function_answers_is_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_with({"name": "a", "metric": "m", "action": {"type": "function", "path": "ops::page"}})
    pager = engine.engine.connect(functions=["ops::page"])
    engine.take(engine.metric("m", 11))
    engine.ask("alerts::evaluate")
    pager.answer(pager.invocations()[0], None)
    assert not_delivered(caplog) == []


def told(engine: EngineWithMetrics) -> tuple[str | None, int | None]:
    """Why and when the rule's newest alert failed, as the list says."""
    (state,) = engine.ask("alerts::list")["alerts"]
    return state.get("action_error"), state.get("action_failed")


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({"type": "webhook", "url": "http://127.0.0.1/x"}, "webhook refused: Private IP blocked"),
        ({"type": "function", "path": "engine::traces::clear"}, "functions of the engine cannot be actions"),
        ({"type": "function", "path": "ops::pge"}, "Function ops::pge not found in namespace default"),
    ],
)
def test_16_s6_7_the_list_says_that_an_alert_could_not_be_delivered(action: dict[str, Any], reason: str) -> None:
    engine = engine_with({"name": "a", "metric": "m", "action": action})
    engine.take(engine.metric("m", 1))
    engine.ask("alerts::evaluate")
    assert told(engine) == (None, None)
    engine.take(engine.metric("m", 21))
    engine.ask("alerts::evaluate")
    failed_ms = engine.clock.time_ms()
    engine.clock.advance(10)  # looked at again, within the cooldown
    assert told(engine) == (reason, failed_ms)


def test_16_s6_7_until_one_is_delivered_or_the_rule_is_changed() -> None:
    engine = engine_with(
        {
            "name": "a",
            "metric": "iii.workers.active",
            "threshold": 0,
            "action": {"type": "function", "path": "ops::page"},
        }
    )
    engine.ask("alerts::evaluate")
    assert told(engine)[0] is not None
    pager = engine.engine.connect(functions=["ops::page"])
    engine.clock.advance(70)
    assert told(engine)[0] is not None
    pager.answer(pager.invocations()[0], None)
    assert told(engine) == (None, None)
    engine.clock.advance(60)
    pager.answer(pager.invocations()[-1], error={"code": "no_signal", "message": "The pager is off"})
    assert told(engine) == ("The pager is off", engine.clock.time_ms())
    changed = AlertRule(name="a", metric="iii.workers.active", threshold=-1)
    engine.module.metrics.apply(ObservabilityConfig(alerts=(changed,)))
    assert told(engine) == (None, None)


def test_16_s6_7_an_older_alert_that_ends_later_has_no_say() -> None:
    engine = engine_with(
        {
            "name": "a",
            "metric": "iii.workers.active",
            "threshold": 0,
            "action": {"type": "function", "path": "ops::page"},
        }
    )
    pager = engine.engine.connect(functions=["ops::page"])
    engine.ask("alerts::evaluate")
    (older,) = pager.invocations()
    engine.clock.advance(70)
    newer = pager.invocations()[-1]
    pager.answer(newer, None)
    pager.answer(older, error={"code": "no_signal", "message": "The pager is off"})
    assert told(engine) == (None, None)


@pytest.mark.parametrize(
    ("sign", "word", "fires"),
    [
        (">", "greaterthan", [11]),
        (">=", "greaterthanorequal", [10, 11]),
        ("<", "lessthan", [9]),
        ("<=", "lessthanorequal", [9, 10]),
        ("==", "equal", [10]),
        ("!=", "notequal", [9, 11]),
    ],
)
def test_06_check_58_signs_and_words_are_the_same(sign: str, word: str, fires: list[int]) -> None:
    for text in (sign, word):
        rule = msgspec.convert({"name": "a", "metric": "m", "threshold": 10, "operator": text}, AlertRule)
        assert rule.compares == word
        assert [value for value in (9, 10, 11) if rule.fires(value)] == fires


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"operator": "bigger"}, "operator"),
        ({"window_seconds": 0}, "window_seconds"),
        ({"action": {"type": "webhook"}}, "an action of type webhook needs url"),
        ({"action": {"type": "function"}}, "an action of type function needs path"),
        ({"action": {"type": "mail"}}, "mail"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(members: dict[str, Any], problem: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=problem):
        msgspec.convert({"name": "a", "metric": "m", "threshold": 1, **members}, AlertRule)


def test_a_rule_that_is_not_enabled_is_listed_only() -> None:
    engine = engine_with({"name": "a", "metric": "iii.workers.active", "threshold": 0, "enabled": False})
    assert engine.ask("alerts::evaluate")["triggered_alerts"] == []
    listed = engine.ask("alerts::list")
    assert (len(listed["rules"]), listed["alerts"]) == (1, [])


def test_a_rule_that_is_disabled_while_it_fires_has_no_state_any_more() -> None:
    engine = engine_with({"name": "a", "metric": "iii.workers.active", "threshold": 0})
    assert len(engine.ask("alerts::evaluate")["triggered_alerts"]) == 1
    rule = AlertRule(name="a", metric="iii.workers.active", threshold=0, enabled=False)
    engine.module.metrics.apply(ObservabilityConfig(alerts=(rule,)))
    listed = engine.ask("alerts::list")
    assert (listed["alerts"], listed["firing_count"], len(listed["rules"])) == ([], 0, 1)


def test_06_2_11_without_telemetry_rules_about_the_engine_go_on() -> None:
    """`enabled: false` of the module is about telemetry of workers."""
    rules: list[dict[str, Any]] = [
        {"name": "own", "metric": "iii.workers.active", "threshold": 0},
        {"name": "of workers", "metric": "m"},
    ]
    engine = engine_with(*rules, enabled=False)
    assert [each["name"] for each in engine.ask("alerts::evaluate")["triggered_alerts"]] == ["own"]


def test_two_rules_of_one_name_are_refused_by_name() -> None:
    rules = [{"name": name, "metric": "m", "threshold": 1} for name in ("a", "calls fail", "calls fail")]
    with pytest.raises(msgspec.ValidationError, match="two rules of `alerts` are named 'calls fail'"):
        msgspec.convert({"alerts": rules}, ObservabilityConfig)


def test_states_are_in_the_order_of_the_rules() -> None:
    rules = [{"name": name, "metric": "iii.workers.active"} for name in ("z", "a", "m")]
    engine = engine_with(*rules)
    engine.ask("alerts::evaluate")
    assert [each["name"] for each in engine.ask("alerts::list")["alerts"]] == ["z", "a", "m"]


def test_a_line_in_the_log_names_alert_and_value(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_with({"name": "a", "metric": "m"})
    engine.take(engine.metric("m", 11))
    engine.clock.advance(0)  # the first look is right after the start
    assert any(
        "alert_name=a" in record.getMessage() and "value=11.0" in record.getMessage() for record in caplog.records
    )


def test_errors_of_workers_within_a_window() -> None:
    engine = engine_with(
        {"name": "a", "metric": "iii.invocations.error", "threshold": 0, "windowed": True, "cooldown_seconds": 1}
    )
    callee = engine.engine.connect(functions=["f"])
    engine.ask("alerts::evaluate")
    engine.worker.start_call("f")
    callee.answer(callee.invocations()[0], error={"code": "x", "message": "no"})
    assert [each["value"] for each in engine.ask("alerts::evaluate")["triggered_alerts"]] == [1.0]
    engine.clock.advance(75)
    assert engine.ask("alerts::evaluate")["triggered_alerts"] == []


def test_growth_remembers_only_what_its_window_needs() -> None:
    growth = Growth(60)
    grown = [growth.of(float(second), float(second)) for second in range(600)]
    assert grown[:3] == [0.0, 1.0, 2.0]
    assert all(60 <= each <= 61 for each in grown[100:])


@pytest.mark.parametrize("set_by_s", [-7_200, 7_200])
def test_16_s6_the_cooldown_is_that_of_a_clock_that_nobody_sets(set_by_s: float) -> None:
    """A clock that is set back would silence the alert until that time has come again; one set forward would end it at once."""
    engine = engine_with({"name": "a", "metric": "iii.workers.active", "threshold": 0})
    assert engine.ask("alerts::evaluate")["triggered_alerts"]
    engine.clock.advance(30)
    engine.clock.set_wall_clock(set_by_s)
    assert not engine.ask("alerts::evaluate")["triggered_alerts"]
    before = engine.ask("alerts::list")["alerts"][0]["last_triggered"]
    engine.clock.advance(31)
    (state,) = engine.ask("alerts::list")["alerts"]
    assert state["last_triggered"] != before
    assert state["last_evaluated"] - state["last_triggered"] <= 10_000


def test_16_s6_what_arrived_before_the_clock_was_set_back_is_in_no_window() -> None:
    engine = engine_with({"name": "a", "metric": "m"})
    engine.take(engine.metric("m", 1000))
    engine.clock.set_wall_clock(-3_600)
    assert engine.ask("alerts::evaluate")["triggered_alerts"] == []
    engine.take(engine.metric("m", 12), engine.metric("m", 14))
    (alert,) = engine.ask("alerts::evaluate")["triggered_alerts"]
    assert alert["value"] == 13.0
