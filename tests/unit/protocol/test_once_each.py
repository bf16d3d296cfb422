"""What is made once for all rooms: suggestions, sets of tasks, ids."""

from __future__ import annotations

import asyncio
import logging
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from iii.protocol.errors import error_id_of
from iii.protocol.ids import Counted, new_id
from iii.protocol.log_event import LogEvent
from iii.protocol.suggestion import did_you_mean, nearest
from iii.protocol.task_set import TaskSet

WORK_FAILED = LogEvent(__name__, "test.work_failed", logging.ERROR, "Work failed", means="A test.")


def test_the_nearest_word_is_suggested() -> None:
    assert nearest("emials", ["default", "emails"]) == "emails"
    assert nearest("x", ["default"]) is None
    assert did_you_mean("emials", ["emails"]) == ", did you mean 'emails'?"
    assert did_you_mean("x", ["emails"], otherwise=".") == "."
    assert nearest("a" * 10_000_000, ["b" * 50]) is None  # in no time


def test_ids_are_uuids_and_unique() -> None:
    counted = Counted()
    ids = [new_id() for _ in range(1000)] + [counted.next() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert all(str(uuid.UUID(each)) == each and uuid.UUID(each).version == 4 for each in ids[::10])


def test_03_A8_calls_of_one_client_are_told_apart_by_what_people_look_for() -> None:
    counted = Counted()
    ids = [counted.next() for _ in range(1000)]
    assert len({error_id_of(each) for each in ids}) == len(ids)


def test_ids_are_made_on_several_threads_at_once() -> None:
    """Workers of one process have a loop and a thread each."""
    made: list[list[str]] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            made += pool.map(lambda _: [new_id() for _ in range(5_000)], range(8))
    finally:
        sys.setswitchinterval(before)
    assert len({each for ids in made for each in ids}) == 40_000


async def test_a_set_of_tasks_waits_for_all_and_logs_failures(caplog: pytest.LogCaptureFixture) -> None:
    tasks = TaskSet(WORK_FAILED)
    ended: list[str] = []

    async def first() -> None:
        tasks.spawn(second())
        ended.append("first")

    async def second() -> None:
        await asyncio.sleep(0)
        ended.append("second")
        raise ValueError("why")

    tasks.spawn(first())
    assert len(tasks) == 1
    assert await tasks.wait()
    assert (ended, len(tasks)) == (["first", "second"], 0)
    assert "Work failed" in caplog.text
    assert "why" in caplog.text


async def test_a_set_of_tasks_is_cancelled_as_one(caplog: pytest.LogCaptureFixture) -> None:
    tasks = TaskSet(WORK_FAILED)
    for _ in range(3):
        tasks.spawn(asyncio.sleep(60))
    assert not await tasks.wait(0)
    tasks.cancel()
    assert await tasks.wait()
    assert caplog.text == ""
