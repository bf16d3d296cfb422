"""Options, addresses, headers and waits (08 §4.2, §4.5, §4.9; checks 2, 5, 6, 64)."""

import os
import re
from typing import Any

import pytest

import iii
from iii.sdk.engine_address import engine_url, handshake_headers
from iii.sdk.telemetry_resource import resource_attributes


def test_08_check_02_empty_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("III_URL", "ws://a:1")
    assert engine_url(None) == engine_url("") == "ws://a:1"
    assert engine_url("ws://b:2") == "ws://b:2"
    monkeypatch.setenv("III_URL", "")
    assert engine_url(None) == "ws://127.0.0.1:49134"


def test_08_check_05_the_wait_grows_to_its_cap() -> None:
    config = iii.ReconnectionConfig(initial_delay_ms=100, backoff_multiplier=2, max_delay_ms=250, jitter_factor=0)
    assert [config.delay_s(attempt) for attempt in range(4)] == [0.1, 0.2, 0.25, 0.25]
    assert config.delay_s(100_000) == 0.25
    assert iii.ReconnectionConfig(jitter_factor=0).delay_s(100_000) == 30


def test_08_check_06_jitter_stays_within_its_part() -> None:
    config = iii.ReconnectionConfig(initial_delay_ms=1000, max_delay_ms=1000)
    delays = [config.delay_s(3) for _ in range(500)]
    assert min(delays) >= 0.7
    assert max(delays) <= 1.3
    assert max(delays) - min(delays) > 0.3
    assert iii.ReconnectionConfig(jitter_factor=5).delay_s(0) >= 0


def test_the_defaults_are_the_documented_ones() -> None:
    config = iii.ReconnectionConfig()
    assert (config.initial_delay_ms, config.max_delay_ms, config.backoff_multiplier) == (1000, 30_000, 2.0)
    assert (config.jitter_factor, config.max_retries) == (0.3, -1)
    assert not config.exhausted(10**9)
    options = iii.InitOptions()
    assert (options.invocation_timeout_ms, options.enable_metrics_reporting) == (30_000, True)
    assert iii.OtelConfig().metrics_export_interval_ms == 60_000


def test_a_dict_of_otel_becomes_a_config() -> None:
    options = iii.InitOptions(otel={"enabled": False, "service_name": "shop"})
    assert options.otel == iii.OtelConfig(enabled=False, service_name="shop")
    assert options.otel_config.wanted is False


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="metrics_export_interval_ms must be positive, got 0"):
        iii.OtelConfig(metrics_export_interval_ms=0)
    with pytest.raises(ValueError, match="invocation_timeout_ms must be positive, got -1"):
        iii.InitOptions(invocation_timeout_ms=-1)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\u2028b", "x" * 281])
def test_a_worker_name_that_would_be_listed_otherwise_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine drops such characters: 'a\\nb' and 'ab' were one name, and the second worker was told of one that it never gave."""
    with pytest.raises(ValueError, match="worker_name may have 280 characters, and no control characters"):
        iii.InitOptions(worker_name=name)
    monkeypatch.setenv("III_WORKER_NAME", name)
    with pytest.raises(ValueError, match="III_WORKER_NAME may have"):
        iii.InitOptions().name_of_a_worker()
    with pytest.raises(TypeError, match="worker_name must be str, got int"):
        iii.InitOptions(worker_name=7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the name of an app may have"):
        iii.App(name)


def test_a_blank_worker_name_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("III_WORKER_NAME", " ")
    assert iii.InitOptions(worker_name=" ").given_name is None
    assert iii.InitOptions(worker_name=" orders ").given_name == "orders"


async def test_connect_worker_that_was_not_entered_says_what_is_missing() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'trigger_async': .*async with iii\.connect_worker"):
        iii.connect_worker("ws://127.0.0.1:1").trigger_async  # type: ignore[attr-defined]  # noqa: B018


def test_08_check_64_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("III_TOKEN", "  ")
    assert handshake_headers(None) == {}
    monkeypatch.setenv("III_TOKEN", "t")
    assert handshake_headers({"X": "1"}) == {"X": "1", "Authorization": "Bearer t"}
    assert handshake_headers({"AUTHORIZATION": "own"}) == {"AUTHORIZATION": "own"}


def test_P10_a_blank_name_counts_as_absent_and_each_worker_gets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("III_WORKER_NAME", raising=False)
    options = iii.InitOptions(worker_name="  ")
    names = {options.name_of_a_worker() for _ in range(20)}
    assert len(names) > 15
    assert all(re.search(rf":{os.getpid()}-[a-z0-9]{{4}}$", name) for name in names)

    assert iii.InitOptions(worker_name=" orders ").name_of_a_worker() == "orders"
    monkeypatch.setenv("III_WORKER_NAME", "  ")
    assert iii.InitOptions(worker_name="orders").name_of_a_worker() == "orders"


def test_a_reconnection_config_that_is_none_is_refused_at_once() -> None:
    """host13 F6: the worker died in silence at the first lost connection."""
    with pytest.raises(TypeError, match=r"reconnection_config must be an iii\.ReconnectionConfig, got dict"):
        iii.InitOptions(reconnection_config={"initial_delay_ms": 50})  # type: ignore[arg-type]


@pytest.mark.parametrize("connect", [iii.register_worker, iii.connect_worker])
def test_options_that_are_none_are_refused_before_anything_starts(connect: Any) -> None:
    with pytest.raises(TypeError, match=r"options must be an InitOptions, .*, got dict"):
        connect("ws://127.0.0.1:1", {"worker_name": "mine"})


def test_08_17_1_telemetry_is_about_the_app_or_the_named_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """`iii logs --worker orders` finds the records of `App("orders")`."""
    monkeypatch.delenv("III_WORKER_NAME", raising=False)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)

    def service(options: iii.InitOptions) -> str:
        return resource_attributes(options.otel_config, options.given_name)["service.name"]

    named = iii.InitOptions(worker_name="orders-1", otel={"logs_enabled": False})
    assert service(iii.InitOptions()) == "iii-python-sdk"
    assert service(named) == "orders-1"
    assert service(iii.App("orders").worker_options()) == "orders"
    of_app = iii.App("orders", options=named).worker_options()
    assert (service(of_app), of_app.worker_name, of_app.otel_config.logs_enabled) == ("orders", "orders-1", False)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    assert service(iii.App("orders", options=named).worker_options()) == service(named) == "shop"
    said = iii.InitOptions(otel={"service_name": "said"})
    assert service(iii.App("orders", options=said).worker_options()) == service(said) == "said"
