"""Whether an exception comes from a signal handler of the program, whatever either says of itself."""

import signal
import traceback
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from iii.protocol.traceback_text import own_traceback

# Past what a handler, its class or that one's class may say of themselves
_bases: Any = type.__dict__["__mro__"].__get__
_members: Any = type.__dict__["__dict__"].__get__
_partial_of: Any = partial.__dict__["func"].__get__
_STEPS = 20  # from a handler to its code


def raised_by_signal_handler(error: BaseException) -> bool:
    """Whether a signal handler of the program raised it."""
    codes = {frame.f_code for frame, _ in traceback.walk_tb(own_traceback(error))}
    return any(_code_of(signal.getsignal(each)) in codes for each in signal.valid_signals())


def _code_of(handler: Any) -> CodeType | None:
    """Of a function, a method, a partial of one, or an object that is called; None: it has none of Python."""
    if not callable(handler):
        return None
    for _ in range(_STEPS):
        kind = type(handler)
        if kind is FunctionType:
            code: CodeType = handler.__code__
            return code
        if kind is MethodType or kind is staticmethod or kind is classmethod:
            handler = handler.__func__
            continue
        called = next((_members(base)["__call__"] for base in _bases(kind) if "__call__" in _members(base)), None)
        handler = _partial_of(handler) if called is _members(partial)["__call__"] else called
    return None
