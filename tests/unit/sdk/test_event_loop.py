"""The loop of an app: how its last turn ends, whatever tasks and threads do (09 §3.3)."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator

import pytest

from iii.sdk import event_loop, pool_threads
from iii.sdk.own_thread import in_own_thread


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    return [(each.event, each.fields) for each in caplog.records if hasattr(each, "event") and hasattr(each, "fields")]


def test_tasks_that_are_left_are_cancelled_and_generators_closed() -> None:
    told: list[str] = []

    async def left() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            told.append("cancelled")

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            told.append("closed")

    kept: list[object] = []

    async def main() -> None:
        kept.append(asyncio.ensure_future(left()))
        generator = numbers()
        kept.append(generator)
        await anext(generator)
        await asyncio.sleep(0)

    event_loop.run(main())
    assert told == ["cancelled", "closed"]


def test_the_error_of_main_is_raised_and_that_of_a_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[object] = []

    async def left() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise KeyError("of the task")

    async def main() -> None:
        kept.append(asyncio.ensure_future(left()))
        await asyncio.sleep(0)
        raise ValueError("of main")

    with pytest.raises(ValueError, match="of main"):
        event_loop.run(main())
    assert "unhandled exception of a task at the end of the app" in caplog.text


@pytest.mark.parametrize("error", [None, ValueError("while it stops")])
def test_09_s3_3_an_exit_in_the_midst_of_the_loop_leaves_main_its_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    """As of a signal handler of the program: main drains and stops, and is no task that hangs."""
    monkeypatch.setattr(event_loop, "END_S", 0.01)
    told: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(sys.exit, 3)
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.1)
            told.append("stopped")
            if error is not None:
                raise error

    with pytest.raises(SystemExit) as caught:
        event_loop.run(main())
    assert caught.value.code == 3
    assert told == ["stopped"]
    assert not [name for name, _ in events(caplog) if name == "sdk.tasks_cut_off"]
    assert ("while it stops" in caplog.text) == (error is not None)


def test_an_exit_of_main_itself_is_raised() -> None:
    async def main() -> None:
        raise SystemExit(4)

    with pytest.raises(SystemExit) as caught:
        event_loop.run(main())
    assert caught.value.code == 4


def test_a_task_that_does_not_stop_is_named(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "END_S", 0.01)
    cancels = 0

    async def ignore() -> None:
        nonlocal cancels
        while cancels == 0:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancels += 1
        await asyncio.sleep(3600)

    kept: list[asyncio.Task[None]] = []

    async def main() -> None:
        kept.append(asyncio.ensure_future(ignore()))
        await asyncio.sleep(0)

    event_loop.run(main())
    assert [(name, fields["tasks"]) for name, fields in events(caplog) if name == "sdk.tasks_cut_off"] == [
        ("sdk.tasks_cut_off", [f"{test_a_task_that_does_not_stop_is_named.__name__}.<locals>.ignore"])
    ]
    kept.pop().get_coro().close()
    gc.collect()  # that a pending task was freed is a record of asyncio's: here, and not in the test that comes next


def watching() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "iii end"]


def test_a_thread_of_the_pool_does_not_keep_the_process(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, exited, begun = threading.Event(), threading.Event(), threading.Event()
    codes: list[int] = []

    def hang() -> bool:
        begun.set()
        return release.wait()

    def exit_now(code: int) -> None:
        codes.append(code)
        release.set()
        exited.set()

    monkeypatch.setattr(pool_threads, "exit_now", exit_now)
    monkeypatch.setattr(pool_threads, "LEAST_S", 0.01)
    monkeypatch.setattr(pool_threads, "LOOK_S", 0.01)
    pool = pool_threads.new_pool()
    work = pool.submit(hang)
    assert begun.wait(60)  # only then its thread is known
    try:
        pool_threads.end_without_them(time.monotonic(), lambda: 7)
        assert exited.wait(60)
    finally:
        release.set()
        pool.shutdown()
    assert work.result()
    for each in watching():
        each.join(60)
    assert watching() == []
    assert codes == [7]
    (told,) = [fields for name, fields in events(caplog) if name == "sdk.threads_cut_off"]
    assert told["threads"] == 1
    assert any(file in str(told["running"]) for file in ("threading.py", "test_event_loop.py"))


def test_without_such_threads_nothing_is_watched() -> None:
    pool_threads.end_without_them(time.monotonic() - 1, lambda: 7)
    assert watching() == []


async def test_a_thread_of_its_own_gives_the_result_or_the_error() -> None:
    assert await in_own_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_own_thread(lambda: 1 // 0)
