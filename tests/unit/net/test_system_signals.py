"""Signals before anything could take them (07 §8.4)."""

import signal
import threading

from iii.net.system_signals import came_early, early_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_07_8_4_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with early_signals():
        assert not any(signal.getsignal(number) in before for number in NUMBERS)
        assert not came_early(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert came_early(signal.SIGHUP)
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_07_8_4_on_another_thread_signals_are_left_alone() -> None:
    before, found = [signal.getsignal(number) for number in NUMBERS], list[object]()

    def look() -> None:
        with early_signals():
            found.extend(signal.getsignal(number) for number in NUMBERS)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == before
