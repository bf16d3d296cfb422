"""Every public function with values of a wrong type: the error names the argument, and is raised where it is written."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import iii
from iii.testing import TestEngine

HUGE = "x" * 300_000
NO_TEXT: tuple[Any, ...] = (7, 1.5, True, b"x", [1], {"a": 1}, object())
NO_NUMBER: tuple[Any, ...] = (True, b"x", [1], {"a": 1}, object(), "7")
NO_SWITCH: tuple[Any, ...] = (None, 7, b"x", [1], object(), "no")
REF = {"channel_id": "c", "access_key": "k", "direction": "read"}
TRIGGER = {"type": "cron", "function_id": "f"}


def handler(payload: dict[str, Any]) -> None: ...


class Provider:
    def register_trigger(self, config: iii.TriggerConfig) -> None: ...

    def unregister_trigger(self, config: iii.TriggerConfig) -> None: ...


CALLS: list[tuple[str, Callable[[Any, Any], Any], tuple[Any, ...], str]] = [
    ("trigger", lambda w, v: w.trigger(v), (None, 7, "", HUGE, [1], b"x"), r"request of trigger\(\) takes one dict"),
    ("start", lambda w, v: w.start(v), (None, 7, ""), r"request of trigger\(\) takes one dict"),
    ("returns", lambda w, v: w.trigger({"function_id": "f"}, returns=v), (7, [1], HUGE, handler), "^returns"),
    ("state returns", lambda w, v: w.state("s").get("k", returns=v), (7, [1], HUGE, handler), "^returns"),
    ("action", lambda w, v: w.trigger({"function_id": "f", "action": v}), (7, HUGE), "^action must be"),
    ("timeout", lambda w, v: w.trigger({"function_id": "f", "timeout_ms": v}), (True, HUGE), "^timeout_ms must be a n"),
    ("type", lambda w, v: w.register_trigger({**TRIGGER, "type": v}), NO_TEXT, "^type must be str"),
    ("function", lambda w, v: w.register_trigger({**TRIGGER, "function_id": v}), NO_TEXT, "^function_id must be str"),
    ("namespace", lambda w, v: w.register_trigger({**TRIGGER, "trigger_namespace": v}), NO_TEXT, "^trigger_namespace m"),
    ("trigger type", lambda w, v: w.register_trigger_type({"id": v}, Provider()), NO_TEXT, "^id must be str"),
    ("provider", lambda w, v: w.register_trigger_type({"id": "t"}, v), (None, Provider, HUGE), "^handler must be an obj"),
    ("described", lambda w, v: w.register_function("f", handler, description=v), NO_TEXT, "^description must be str"),
    ("schema", lambda w, v: w.register_function("f", handler, request_format=v), (7, int, HUGE), "^request_format must"),
    ("url", lambda w, v: w.register_function("f", iii.HttpInvocationConfig(v)), (7, None, [1]), r"`str`, got .* at `\$\.url`"),
    ("metadata", lambda w, v: w.register_function("f", handler, metadata=v), (b"x",), r"at `\$\.metadata`"),
    ("away", lambda w, v: w.unregister_trigger_type(v), (None, 7, [1], b"x"), r"type\(\) takes a dict with the key 'id'"),
    ("scope", lambda w, v: w.state(v), (None, *NO_TEXT), "^scope must be str"),
    ("stream", lambda w, v: w.stream(v, "g"), (None, *NO_TEXT), "^stream_name must be str"),
    ("group", lambda w, v: w.stream("s", v), (None, *NO_TEXT), "^group_id must be str"),
    ("channel", lambda w, v: w.open_channel(v), (None, 7, HUGE), r"reference of open_channel\(\) takes a dict with the key"),
    ("key", lambda w, v: w.open_channel({**REF, "access_key": v}), NO_TEXT, "^access_key must be str"),
    ("provided", lambda w, v: w.create_stream("s", v), (None, 7, {}, iii.Stream, HUGE), "^stream must be an object with"),
    ("its name", lambda w, v: w.create_stream(v, None), NO_TEXT, "^stream_name must be str"),
    ("functions", lambda w, v: w.on_functions_available(v), NO_TEXT, "^callback must be callable"),
    ("states", lambda w, v: w.add_connection_state_listener(v), NO_TEXT, "^handler must be callable"),
    ("condition", lambda w, v: w.cron("@daily", condition=v), NO_TEXT, "^condition must be str"),
    ("served by", lambda w, v: w.cron("@daily", function_id=v), NO_TEXT, "^function_id must be str"),
    ("route", lambda w, v: w.http("GET", v), (None, *NO_TEXT), "^path must be str"),
    ("cancel", lambda w, v: w.http("GET", "/", cancel_on_disconnect=v), NO_SWITCH, "^cancel_on_disconnect must be True or"),
    ("fifo", lambda w, v: w.on_queue("t", fifo=v), NO_SWITCH, "^fifo must be True or False"),
    ("jitter", lambda w, v: w.on_queue("t", backoff_jitter=v), NO_NUMBER, "^backoff_jitter must be a number"),
    ("retries", lambda w, v: w.on_queue("t", max_retries=v), NO_NUMBER, "^max_retries must be int"),
    ("state key", lambda w, v: w.on_state("s", v), NO_TEXT, "^key must be str"),
    ("each", lambda w, v: w.subscribe("t", each_replica=v), NO_SWITCH, "^each_replica must be True or False"),
    ("items", lambda w, v: w.on_stream("s", item_id=v), NO_TEXT, "^item_id must be str"),
]  # fmt: skip


@pytest.fixture(scope="module")
def worker() -> Any:
    with TestEngine() as engine:
        yield engine.worker


@pytest.mark.parametrize(("call", "values", "said"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
def test_11_s1_a_value_of_a_wrong_type_is_refused_by_name(
    worker: Any, call: Callable[[Any, Any], Any], values: tuple[Any, ...], said: str
) -> None:
    for value in values:
        with pytest.raises(TypeError, match=said) as raised:
            call(worker, value)
        assert len(str(raised.value)) < 1000  # a huge value is not shown whole


@pytest.mark.parametrize("value", NO_TEXT)
async def test_11_s1_so_it_is_by_calls_that_are_awaited(worker: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=r"request of trigger\(\) takes one dict|function_id"):
        await worker.trigger_async(value if value != {"a": 1} else {"function_id": 7})


def test_11_s1_a_mapping_is_a_request_too(worker: Any) -> None:
    listed = worker.trigger(MappingProxyType({"function_id": "engine::workers::list", "payload": {}}))
    assert "workers" in listed


def test_11_s1_a_channel_has_two_directions(worker: Any) -> None:
    with pytest.raises(ValueError, match="direction must be 'read' or 'write', got 'both'"):
        worker.open_channel({**REF, "direction": "both"})


OPTIONS: list[tuple[Callable[..., Any], str, tuple[Any, ...], str]] = [
    (iii.InitOptions, "worker_name", NO_TEXT, "must be str"),
    (iii.InitOptions, "worker_description", NO_TEXT, "must be str"),
    (iii.InitOptions, "namespace", NO_TEXT, "must be str"),
    (iii.InitOptions, "enable_metrics_reporting", NO_SWITCH, "must be True or False"),
    (iii.InitOptions, "invocation_timeout_ms", (None, *NO_NUMBER), "must be int"),
    (iii.InitOptions, "connect_timeout_ms", (None, *NO_NUMBER), "must be int"),
    (iii.InitOptions, "reconnection_config", (7, {}, HUGE), "must be an iii.ReconnectionConfig"),
    (iii.InitOptions, "otel", (7, "on", [1]), "must be an iii.OtelConfig, or a dict of its fields"),
    (iii.InitOptions, "tls", (7, "ca.pem", [1]), "must be an iii.TlsOptions, or a dict of its fields"),
    (iii.InitOptions, "telemetry", (7, {}, HUGE), "must be an iii.TelemetryOptions"),
    (iii.InitOptions, "headers", (7, "Authorization: x", [1]), "must be a dict"),
    (iii.OtelConfig, "enabled", NO_SWITCH[1:], "must be True or False"),
    (iii.OtelConfig, "service_name", NO_TEXT, "must be str"),
    (iii.OtelConfig, "spans_flush_interval_ms", NO_NUMBER, "must be int"),
    (iii.OtelConfig, "metrics_export_interval_ms", NO_NUMBER, "must be int"),
    (iii.ReconnectionConfig, "max_retries", NO_NUMBER, "must be int"),
    (iii.ReconnectionConfig, "jitter_factor", NO_NUMBER, "must be a number"),
    (iii.TelemetryOptions, "framework", NO_TEXT, "must be str"),
    (iii.TlsOptions, "ca_file", NO_TEXT, "must be str"),
    (iii.TlsOptions, "insecure", NO_SWITCH, "must be True or False"),
]


@pytest.mark.parametrize(("kind", "name", "values", "said"), OPTIONS, ids=[row[1] for row in OPTIONS])
def test_08_s4_2_an_option_of_a_wrong_type_is_refused_by_name(
    kind: Callable[..., Any], name: str, values: tuple[Any, ...], said: str
) -> None:
    for value in values:
        with pytest.raises(TypeError, match=f"^{name} {said}") as raised:
            kind(**{name: value})
        assert len(str(raised.value)) < 1000


def test_08_s4_2_what_serves_as_well_is_taken() -> None:
    assert str(iii.TlsOptions(ca_file=Path("ca.pem")).ca_file) == "ca.pem"  # type: ignore[arg-type]
    assert iii.InitOptions(invocation_timeout_ms=30e3).invocation_timeout_ms == 30_000  # type: ignore[arg-type]


def test_11_s1_options_of_an_app_are_given_when_it_is_made() -> None:
    app = iii.App("orders")
    with pytest.raises(AttributeError, match=r"options of app 'orders' cannot be assigned: give them to iii\.App\("):
        app.options = iii.InitOptions()
