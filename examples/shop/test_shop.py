"""Tests of the shop: `pytest` in this folder. No engine runs, and nothing else has to."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mail
import orders
import pytest

import iii
from iii.testing import JobFailed, TestEngine

QUEUES = {"mail": {"max_retries": 5, "backoff_ms": 1000}}


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(mail, "OUTBOX", tmp_path)
    return tmp_path


@pytest.fixture
def iii_engine(outbox: Path) -> Any:
    """Both workers, and the queue of `iii.yaml`."""
    with TestEngine(orders.app, mail.app, queues=QUEUES, begins=datetime(2026, 3, 1, tzinfo=UTC)) as engine:
        yield engine


def placed(engine: TestEngine, **order: Any) -> Any:
    answer = engine.request("POST", "/orders", json={"article": "pen", "mail_to": "ada@example.com", **order})
    assert answer.status == 201
    return answer.json()


def status(engine: TestEngine, order: Any) -> str:
    found: str = engine.request("GET", f"/orders/{order['id']}").json()["status"]
    return found


def test_an_order_is_kept_and_shown(iii_engine: TestEngine) -> None:
    order = placed(iii_engine, pieces=3)
    assert iii_engine.request("GET", f"/orders/{order['id']}").json() == order
    assert iii_engine.stream("orders", "all").items() == [order]
    assert iii_engine.request("GET", "/orders/none").status == 404


@pytest.mark.parametrize("wrong", [{"pieces": 0}, {"article": ""}, {"mail_to": "ada"}, {"price": 1}])
def test_an_order_that_makes_no_sense_is_refused(iii_engine: TestEngine, wrong: Any) -> None:
    order = {"article": "pen", "mail_to": "ada@example.com", **wrong}
    assert iii_engine.request("POST", "/orders", json=order).status == 400
    assert iii_engine.state("orders").keys() == []


def test_the_confirmation_is_a_job(iii_engine: TestEngine, outbox: Path) -> None:
    order = placed(iii_engine, pieces=2)
    assert status(iii_engine, order) == "placed"
    iii_engine.run_jobs()
    assert status(iii_engine, order) == "confirmed"
    assert iii_engine.stream("orders", "all").items()[0]["status"] == "confirmed"
    assert (outbox / f"{order['id']}.txt").read_text() == "To: ada@example.com\n\n2 × pen\n"


def test_a_mail_server_that_is_down_for_a_while_is_tried_again(iii_engine: TestEngine) -> None:
    order = placed(iii_engine)
    for _ in range(3):
        iii_engine.fail("mail::confirm", iii.InvocationError("unreachable", "no mail server"))
    iii_engine.run_jobs()
    assert status(iii_engine, order) == "confirmed"


def test_one_that_stays_down_leaves_a_dead_letter(iii_engine: TestEngine) -> None:
    order = placed(iii_engine)
    for _ in range(5):
        iii_engine.fail("mail::confirm", iii.InvocationError("unreachable", "no mail server"))
    with pytest.raises(JobFailed, match="no mail server"):
        iii_engine.run_jobs()
    assert status(iii_engine, order) == "placed"


def test_a_mail_that_nobody_can_deliver_leaves_a_dead_letter_that_says_why(iii_engine: TestEngine) -> None:
    placed(iii_engine, mail_to="edsger@example.invalid")
    with pytest.raises(JobFailed, match="550 no mail server"):
        iii_engine.run_jobs()


def test_a_worker_that_dies_after_sending_sends_no_second_mail(iii_engine: TestEngine, outbox: Path) -> None:
    order = placed(iii_engine)
    iii_engine.lose_answer("mail::confirm")
    iii_engine.run_jobs()
    assert len(iii_engine.calls("mail::confirm")) == 2
    assert [path.stem for path in outbox.iterdir()] == [order["id"]]


def test_orders_are_counted_at_six_in_berlin(iii_engine: TestEngine, outbox: Path) -> None:
    for _ in range(11):
        iii_engine.state("orders").set(f"old-{_}", {"status": "placed"})
    iii_engine.advance(5 * 3600 - 1)
    assert iii_engine.calls("cron::count") == []
    iii_engine.advance(1)
    assert (outbox / "warning.txt").exists()


def test_while_all_copies_are_away_the_route_says_so(iii_engine: TestEngine) -> None:
    iii_engine.lose_workers()
    assert iii_engine.request("GET", "/").status == 503
    iii_engine.return_workers()
    assert iii_engine.request("GET", "/").status == 200
