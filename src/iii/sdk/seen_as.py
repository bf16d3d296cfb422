"""What Python's own errors call a class and its methods: by the name that its users have, not by those of its parts."""

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar

_Class = TypeVar("_Class", bound=type)
_OURS = __name__.partition(".")[0]


def seen_as(name: str) -> Callable[[_Class], _Class]:
    """Of a class that is put together from others of ours, which no other public class has.

    `Worker.trigger() missing 1 required positional argument: 'request'`, wherever `trigger` is written.
    """

    def renamed(cls: _Class) -> _Class:
        for part in cls.__mro__:
            if part.__module__.partition(".")[0] == _OURS:
                for member in vars(part).values():
                    _rename(member, name)
        cls.__name__ = cls.__qualname__ = name
        return cls

    return renamed


def _rename(member: object, class_name: str) -> None:
    function = getattr(member, "__func__", member)  # of a class method or static method
    while isinstance(function, FunctionType):  # a decorator's, and then what it is around, which raises too
        function.__qualname__ = f"{class_name}.{function.__name__}"
        function = getattr(function, "__wrapped__", None)
