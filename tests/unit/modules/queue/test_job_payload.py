"""What a job gives to its function, for those who look (13 §12)."""

from __future__ import annotations

import pytest

from iii.engine.access.roles import ROLES
from iii.modules.queue.job_functions import PAYLOAD_BYTES
from tests.unit.modules.queue.house import House, Log


def unknown(house: House, job_id: str) -> str:
    code, text = house.error("engine::queue::payload", {"id": job_id})
    assert code == "job_not_found"
    return text


async def test_13_12_of_a_job_that_waits_is_active_and_is_dead(house: House) -> None:
    receipt = house.enqueue("f", {"order": 7, "card": {"api_key": "sk-1"}}, "default")
    wanted = {"order": 7, "card": {"api_key": "[hidden]"}}
    waiting = house.call("engine::queue::payload", id=receipt)
    log = Log(house)
    log.answers = lambda data: RuntimeError("no")
    log.worker.register("f")
    for _ in range(20):
        house.clock.advance(100)

    dead = house.call("engine::queue::payload", id=receipt)

    assert house.call("engine::queue::job", id=receipt)["state"] == "dead"
    assert waiting == dead
    assert (waiting["payload"], waiting["hides_secrets"]) == (wanted, True)
    assert log.seen[0] == {"order": 7, "card": {"api_key": "sk-1"}}


async def test_13_12_nothing_of_one_that_is_done(house: House) -> None:
    Log(house, "f").answers = lambda data: None
    receipt = house.enqueue("f", 1)
    house.clock.advance(1)

    assert "is not kept" in unknown(house, receipt)
    assert "never existed" in unknown(house, "another")


@pytest.mark.parametrize(
    ("data", "shown"), [("x" * (PAYLOAD_BYTES + 1), False), ("x" * (PAYLOAD_BYTES - 2), True), (None, True)]
)
async def test_13_12_a_large_one_is_left_out(house: House, data: object, shown: bool) -> None:
    receipt = house.enqueue("f", data)

    answer = house.call("engine::queue::payload", id=receipt)

    assert ("payload" in answer, answer["hides_secrets"]) == (shown, False)
    assert answer["payload_bytes"] >= 2


async def test_13_12_one_that_nests_too_deep_is_left_out(house: House) -> None:
    """It cannot be looked through for secrets."""
    receipt = house.enqueue("f", 1)
    deep = b"[" * 5_000 + b"]" * 5_000
    house.adapter.store.database.reader.execute("UPDATE jobs SET data = ?", (deep,))

    assert house.call("engine::queue::payload", id=receipt) == {
        "id": receipt, "payload_bytes": 10_000, "hides_secrets": False,
    }  # fmt: skip


@pytest.mark.parametrize(("role", "may"), [("observer", False), ("worker", False), ("operator", True)])
def test_20_2_who_sees_payloads(role: str, may: bool) -> None:
    assert any(each.fits("engine::queue::payload", "default", None) for each in ROLES[role].filters) is may
