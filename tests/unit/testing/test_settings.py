"""How a test engine is set up: options of modules, queues, and a folder that keeps its stores (15 §1.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import iii
from iii.testing import TestEngine


def shop() -> tuple[iii.App, list[Any]]:
    app, sent = iii.App("shop"), []

    @app.function("mail::send")
    def send(job: Any) -> None:
        sent.append(job)

    return app, sent


def test_15_s1_3_options_of_modules_are_those_of_the_configuration_file() -> None:
    app = iii.App("shop")

    @app.http("POST", "/orders")
    def place(order: dict[str, int]) -> dict[str, int]:
        return order

    with TestEngine(app, config={"http": {"body_limit": 10}, "iii-state": {"max_value_bytes": 5}}) as engine:
        assert engine.request("POST", "/orders", json={"a": 1}).json() == {"a": 1}
        assert engine.request("POST", "/orders", json={"article": 100}).status == 413
        with pytest.raises(iii.InvocationError, match="VALUE_TOO_LARGE"):
            engine.state("s").set("k", "too long")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"config": {"iii-htp": {}}}, "a test engine has no module 'iii-htp', did you mean 'iii-http'?"),
        ({"config": {"iii-telemetry": {}}}, "has no module 'iii-telemetry'; it runs iii-cron, iii-http"),
        (
            {"config": {"iii-http": {"body_limt": 3}}},
            "TestEngine: config['iii-http']: unknown key 'body_limt' (3), did you mean 'body_limit'?",
        ),
        ({"config": {"iii-http": {"body_limit": "x"}}}, "TestEngine: config['iii-http']: body_limit: expected"),
        ({"config": {"iii-state": {"adapter": {}}}}, "iii-state: a test engine has no adapters"),
        ({"deadline_s": 0}, "deadline_s must be positive, got 0"),
    ],
    ids=str,
)
def test_15_s1_3_what_is_wrong_is_raised_where_the_engine_is_made(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011, the text is compared
        TestEngine(**settings)
    assert str(raised.value).startswith(said) or said in str(raised.value)


def test_15_s1_3_an_unknown_queue_names_where_it_is_given() -> None:
    with TestEngine() as engine, pytest.raises(iii.InvocationError) as raised:
        engine.enqueue("mail::send", {}, queue="mail")
    assert str(raised.value) == (
        "enqueue_error: Queue 'mail' not found; name it in `TestEngine(queues={…})`, or in the fixture `iii_options`"
    )


def test_15_s4_stores_in_a_folder_outlive_a_restart(tmp_path: Path) -> None:
    app, sent = shop()
    with TestEngine(app, queues={"mail": {"max_retries": 1}}, folder=tmp_path / "kept") as engine:
        engine.state("orders").set("7", {"open": True})
        engine.stream("orders", "all").set("7", {"n": 1})
        engine.enqueue("mail::send", 1, queue="mail")
        engine.restart()
        assert engine.state("orders").get("7") == {"open": True}
        assert engine.stream("orders", "all").get("7") == {"n": 1}
        assert sent == []
        engine.run_jobs()
        assert sent == [1]
        engine.restart()
        engine.run_jobs()
    assert sent == [1]


def test_15_s4_the_next_engine_with_a_folder_finds_what_is_there(tmp_path: Path) -> None:
    app, sent = shop()
    with TestEngine(app, folder=str(tmp_path)) as engine:
        engine.state("orders").set("7", "seven")
        engine.enqueue("mail::send", 2)
    with TestEngine(app, folder=tmp_path) as engine:
        assert engine.state("orders").get("7") == "seven"
        engine.state("orders").delete("7")
        engine.run_jobs()
        assert sent == [2]
    with TestEngine(app, folder=tmp_path) as engine:
        assert engine.state("orders").get("7") is None
        assert engine.run_jobs() == []


def test_15_s4_without_a_folder_nothing_outlives_it_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app, sent = shop()
    with TestEngine(app) as engine:
        engine.state("orders").set("7", 1)
        engine.enqueue("mail::send", 1)
        engine.restart()
        assert engine.state("orders").get("7") is None
        engine.run_jobs()
    assert (sent, list(tmp_path.iterdir())) == ([], [])
