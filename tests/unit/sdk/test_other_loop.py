"""Work for a loop of another thread that ends meanwhile (09 §3.3)."""

import asyncio
import gc
import threading
from collections.abc import Iterator

import pytest

from iii.sdk.other_loop import await_there, run_there

DEADLINE_S = 60.0


class Foreign:
    """A loop on a thread of its own, which can be held up."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.free = threading.Event()
        self.held = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def hold(self, *, ends: bool = True) -> None:
        """It does nothing for a while, and then ends before it comes to what is given to it meanwhile."""

        def wait() -> None:
            self.held.set()
            self.free.wait(DEADLINE_S)
            if ends:
                self.loop.stop()

        self.loop.call_soon_threadsafe(wait)
        assert self.held.wait(DEADLINE_S)

    def end(self) -> None:
        self.free.set()
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE_S)


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    foreign = Foreign()
    yield foreign
    foreign.end()


async def one() -> int:
    return 1


async def failing() -> int:
    raise TimeoutError("its own")


def test_its_result_and_its_error_arrive(foreign: Foreign) -> None:
    assert run_there(one(), foreign.loop, DEADLINE_S) == 1
    with pytest.raises(TimeoutError, match="its own"):
        run_there(failing(), foreign.loop, DEADLINE_S)
    assert asyncio.run(await_there(one(), foreign.loop)) == 1


def test_who_is_patient_no_longer_is_told(foreign: Foreign) -> None:
    foreign.hold(ends=False)
    with pytest.raises(TimeoutError):
        run_there(one(), foreign.loop, 0.2)
    foreign.free.set()
    assert run_there(one(), foreign.loop, DEADLINE_S) == 1  # the loop comes to both


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_loop_that_ends_without_it_is_no_reason_to_wait(foreign: Foreign, when: str) -> None:
    if when == "before":
        foreign.end()
    else:
        foreign.hold()
        threading.Timer(0.1, foreign.free.set).start()
    assert run_there(one(), foreign.loop, DEADLINE_S) is None
    gc.collect()  # a coroutine that was never awaited would be a warning, which fails the test


def test_nor_is_it_for_a_coroutine(foreign: Foreign) -> None:
    foreign.hold()
    threading.Timer(0.1, foreign.free.set).start()
    assert asyncio.run(await_there(one(), foreign.loop)) is None
    gc.collect()
