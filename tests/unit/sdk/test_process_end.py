"""Which exceptions end the process, and which are a callback's own (issue 12 kind 5)."""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from iii.sdk.process_end import ends_process


def leave(*_: object) -> None:
    sys.exit(3)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Leaving:
    def __call__(self, number: int, frame: object) -> None:
        leave()

    def on_signal(self, number: int, frame: object) -> None:
        leave()


def raise_hidden(_: object, name: str) -> Any:
    raise RuntimeError(name)


def hidden() -> Any:
    """Neither it nor its class tells anything; made here, since pytest looks at what a module has."""
    hides = type("Hides", (type,), {"__getattribute__": raise_hidden})
    return hides("Hidden", (Leaving,), {"__getattribute__": raise_hidden})()


class HiddenPartial(partial[None]):
    __getattribute__ = raise_hidden


class Lies:
    __class__ = partial  # type: ignore[assignment]
    __code__ = "text"
    __call__ = Leaving()


class HiddenExit(SystemExit):
    __traceback__ = None
    code = None

    __getattribute__ = raise_hidden


def leave_hidden(*_: object) -> None:
    raise HiddenExit


@pytest.fixture
def strikes() -> Iterator[Callable[[Any], BaseException]]:
    """What a program's handler of SIGUSR1 raises, wherever the main thread is."""
    before = signal.getsignal(signal.SIGUSR1)

    def raised(handler: Any) -> BaseException:
        signal.signal(signal.SIGUSR1, handler)
        try:
            signal.raise_signal(signal.SIGUSR1)
        except BaseException as error:
            return error
        raise AssertionError("nothing was raised")

    yield raised
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "handler", [leave, interrupt, partial(leave, 1), Leaving(), Leaving().on_signal, lambda *_: leave(), leave_hidden]
)
async def test_the_exit_of_a_signal_handler_is_no_error_of_what_it_interrupts(
    strikes: Callable[[Any], BaseException], handler: Any
) -> None:
    assert asyncio.get_running_loop().is_running()
    assert ends_process(strikes(handler))


@pytest.mark.parametrize("made", [hidden, lambda: HiddenPartial(leave, 1), Lies])
def test_what_hides_what_it_is_ends_the_process_too(
    strikes: Callable[[Any], BaseException], made: Callable[[], Any]
) -> None:
    assert ends_process(strikes(made()))


def failed(number: int, frame: object) -> None:
    raise ValueError(number)


async def test_other_exits_are_errors_of_the_callback(strikes: Callable[[Any], BaseException]) -> None:
    assert not ends_process(SystemExit(3))
    assert not ends_process(KeyboardInterrupt())
    assert not ends_process(strikes(failed))


def test_on_another_thread_no_exit_comes_from_a_signal(strikes: Callable[[Any], BaseException]) -> None:
    error = strikes(leave)
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(ends_process(error)))
    thread.start()
    thread.join(60)
    assert found == [False]
    assert ends_process(error)
    assert ends_process(KeyboardInterrupt())
