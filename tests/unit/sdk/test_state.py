"""States and listeners (08 §4.4, §4.6)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from iii.sdk.state import StateHolder


def test_failed_is_for_good_until_a_shutdown() -> None:
    states = StateHolder()
    heard: list[str] = []
    states.listen(heard.append)
    states.change("connecting")
    states.change("connecting")
    states.change("failed")
    states.change("disconnected")
    states.change("reconnecting")
    assert states.settled.is_set()
    states.change("disconnected", shutdown=True)
    assert heard == ["disconnected", "connecting", "failed", "disconnected"]
    assert states.settled.is_set()  # nobody waits for a connection that does not come


def test_P12_a_shutdown_before_the_first_connection_ends_the_wait_for_it() -> None:
    states = StateHolder()
    states.change("connecting")
    assert not states.settled.is_set()
    states.change("disconnected", shutdown=True)
    assert states.settled.is_set()


def test_a_listener_that_is_removed_while_others_hear_is_not_told() -> None:
    states = StateHolder()
    heard: list[str] = []
    stops: list[Callable[[], None]] = []
    states.listen(lambda state: [stop() for stop in stops])
    stops.append(states.listen(heard.append))
    states.change("connecting")
    assert heard == ["disconnected"]


def test_the_same_listener_twice_hears_twice_and_is_removed_once() -> None:
    states = StateHolder()
    heard: list[str] = []
    stop = states.listen(heard.append)
    states.listen(heard.append)
    stop()
    stop()
    states.change("connecting")
    assert heard == ["disconnected", "disconnected", "connecting"]


def test_ctrl_c_in_a_listener_ends_the_program_and_not_on_a_loop() -> None:
    states = StateHolder()

    def interrupted(state: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        states.listen(interrupted)

    async def on_a_loop() -> None:
        states.listen(interrupted)  # which asyncio interrupts in its own way: this is an error of the listener

    asyncio.run(on_a_loop())
    with ThreadPoolExecutor(1) as threads:
        threads.submit(states.listen, interrupted).result()  # Python raises it on the main thread only
