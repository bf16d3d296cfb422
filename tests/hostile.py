"""Exceptions and values that raise or lie wherever they are looked at, as the code of users may bring them along."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, NoReturn

import iii


def explode(*_: Any, **__: Any) -> NoReturn:
    raise SystemExit("of a callback")


class EvilText(str):
    """A text whose methods do not do what those of a text do."""

    encode = __len__ = __getitem__ = __repr__ = explode


class WithoutText(Exception):
    __str__ = explode


class TextIsNumber(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class TextIsEvil(Exception):
    def __str__(self) -> str:
        return EvilText("evil")


class ReprRaises(Exception):
    __repr__ = explode


class ClassRaises(Exception):
    __class__ = property(explode)


class ClassLies(Exception):
    __class__ = iii.InvocationError  # type: ignore[assignment]


class TracebackRaises(Exception):
    __traceback__ = property(explode)


class ExitHides(SystemExit):
    __traceback__ = property(explode)


class ExitRaises(SystemExit):
    __class__ = property(explode)


class InterruptRaises(KeyboardInterrupt):
    __class__ = property(explode)


class TracebackLies(Exception):
    __traceback__ = 5  # type: ignore[assignment]


class CauseRaises(Exception):
    __cause__ = property(explode)


class ContextLies(Exception):
    __context__ = "not an exception"  # type: ignore[assignment]


class NotesRaise(Exception):
    __notes__ = property(explode)


class Nameless(type):
    __name__ = property(explode)


class OfNamelessClass(Exception, metaclass=Nameless):
    pass


class OwnBase(BaseException):
    pass


class LyingInvocationError(iii.InvocationError):
    message = property(explode, explode)
    code = property(explode, explode)
    stacktrace = property(explode, explode)

    def __init__(self) -> None:
        Exception.__init__(self)


class Code(Enum):
    OF_TEXT = "OF_TEXT"
    OF_NUMBER = 5


def chained(length: int) -> Exception:
    error = Exception("first")
    for number in range(length):
        later = Exception(number)
        later.__context__ = error
        error = later
    return error


EXCEPTIONS: list[Callable[[], BaseException]] = [
    WithoutText, TextIsNumber, TextIsEvil, ReprRaises, ClassRaises, ClassLies, TracebackRaises, TracebackLies,
    CauseRaises, ContextLies, NotesRaise, OfNamelessClass, OwnBase, LyingInvocationError, asyncio.CancelledError,
    GeneratorExit, KeyboardInterrupt, SystemExit, ExitHides, ExitRaises, InterruptRaises, StopIteration, StopAsyncIteration, MemoryError, RecursionError,
    lambda: KeyError("k"), lambda: ValueError("\ud800"), lambda: ValueError("x" * 300_000), lambda: chained(300),
    lambda: ExceptionGroup("group", [ValueError("\udfff"), WithoutText()]),
    lambda: BaseExceptionGroup("group", [SystemExit(1), ExceptionGroup("inner", [TextIsNumber()])]),
    lambda: iii.InvocationError("C", "lone \ud800"), lambda: iii.InvocationError("\ud800", "m", None, "\udc00"),
    lambda: iii.InvocationError(5, None), lambda: iii.InvocationError(Code.OF_TEXT, ["m"]),  # type: ignore[arg-type]
    lambda: iii.InvocationError(object(), ReprRaises(), None, 5.0), lambda: iii.InvocationError("C", "m" * 300_000),  # type: ignore[arg-type]
    lambda: iii.InvocationError(EvilText("C"), EvilText("m")),
]  # fmt: skip


class Stranger:
    """A future of another make, as a task sees it; never done."""

    _asyncio_future_blocking: Any = True
    add_done_callback: Any = explode

    def __await__(self) -> Any:
        yield self

    def get_loop(self) -> Any:
        return asyncio.get_running_loop()

    def cancel(self, msg: Any = None) -> bool:
        return False


class OfNoLoop(Stranger):
    get_loop = explode


class OfAnotherLoop(Stranger):
    def get_loop(self) -> Any:
        return self


class BlockingRaises(Stranger):
    _asyncio_future_blocking = property(explode)


class YieldsNonsense:
    __repr__ = explode

    def __await__(self) -> Any:
        yield self


class AwaitRaises:
    __await__ = explode


class FutureThatRaises(asyncio.Future[None]):
    add_done_callback = explode


class DoneTwice(Stranger):
    """Goes on by itself, and once more."""

    def __await__(self) -> Any:
        yield self
        return "done"

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        for _ in range(2):
            asyncio.get_running_loop().call_soon(callback, self, context=context)


AWAITABLES: list[Callable[[], Any]] = [
    Stranger, OfNoLoop, OfAnotherLoop, BlockingRaises, YieldsNonsense, AwaitRaises, FutureThatRaises, DoneTwice,
]  # fmt: skip


class DumpRaises:
    model_dump = explode


class DumpIsItself:
    def model_dump(self, **_: Any) -> Any:
        return self


class AttributeRaises:
    __getattr__ = explode


class ValueOfEvilClass:
    __class__ = property(explode)


def cyclic() -> list[Any]:
    value: list[Any] = []
    value += [value, value]
    return value


def nested(levels: int, of_objects: bool = False, inner: Any = 1) -> Any:
    for _ in range(levels):
        inner = {"a": inner} if of_objects else [inner]
    return inner


VALUES: list[Callable[[], Any]] = [
    DumpRaises, DumpIsItself, AttributeRaises, ValueOfEvilClass, cyclic, object, lambda: EvilText("text"),
    lambda: {EvilText("key"): 1}, lambda: {1: 1, "1": 2}, lambda: {None: 1}, lambda: {(1, 2): 3}, lambda: b"x",
    lambda: {1, 2}, lambda: float("nan"), lambda: "\ud800", lambda: {"\ud800": [float("inf")]}, lambda: 10**400,
    lambda: 10**5000, lambda: iter("generator"), lambda: Code.OF_NUMBER, lambda: nested(499), lambda: nested(500),
    lambda: nested(800, of_objects=True), lambda: nested(2000), lambda: nested(600, inner="\ud800"),
]  # fmt: skip
