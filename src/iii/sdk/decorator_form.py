"""How a decorator is written: one that is written otherwise is refused where it stands, with the right form (11 §1)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from iii.protocol.suggestion import did_you_mean

D = TypeVar("D", bound=Callable[..., Any])


def with_parentheses(takes: str, example: str, also: Collection[str] = ()) -> Callable[[D], D]:
    """Of a method that makes a decorator. Its first argument is never a function, so one that is was meant to be decorated.

    Args:
        takes: what has to be given, in words.
        example: of what stands within the parentheses.
        also: names of options that it takes by `**`.
    """

    def apply(method: D) -> D:
        @wraps(method)
        def checked(self: object, *given: Any, **options: Any) -> Any:
            written = f"@{_holder(self)}.{method.__name__}"
            if given and callable(given[0]):
                raise TypeError(f"{written} takes {takes}, in parentheses: {written}({example})")
            refuse_unknown(written, options, method, also)
            try:
                inspect.signature(method).bind(self, *given, **options)
            except TypeError as error:
                raise TypeError(f"{written} takes {takes}: {written}({example}); here: {error}") from None
            return method(self, *given, **options)

        return cast(D, checked)

    return apply


def with_known_options(init: D) -> D:
    """Of the constructor of a class: an option that it does not have is refused with the most similar one."""

    @wraps(init)
    def checked(self: object, *given: Any, **options: Any) -> None:
        refuse_unknown(type(self).__name__, options, init)
        init(self, *given, **options)

    return cast(D, checked)


def refuse_unknown(what: str, options: Iterable[str], function: Callable[..., Any], also: Collection[str] = ()) -> None:
    """Raises TypeError: the function has no parameter of the name of an option, and takes none of `also` of that name."""
    signature = inspect.signature(function).parameters.values()
    parameters = [each.name for each in signature if each.kind is not each.VAR_KEYWORD] + [*also]
    for name in options:
        if name not in parameters:
            hint = did_you_mean(name, parameters, "did you mean '{}'?", f"it has {_listed(parameters)}")
            raise TypeError(f"{what} has no option '{name}': {hint}")


def without_parentheses(method: D) -> D:
    """Of a method that is the decorator itself."""

    @wraps(method)
    def checked(self: object, *given: Any, **options: Any) -> Any:
        written = f"@{_holder(self)}.{method.__name__}"
        if options or len(given) != 1:
            raise TypeError(f"{written} takes no arguments: write {written} without parentheses")
        if not callable(given[0]):
            raise TypeError(f"{written} decorates a function, got {type(given[0]).__name__}")
        return method(self, *given)

    return cast(D, checked)


def _holder(of: object) -> str:
    """As a program would name it: `worker`, `app`."""
    return next(kind.__name__ for kind in type(of).__mro__ if not kind.__name__.startswith("_")).lower()


def _listed(parameters: Iterable[str]) -> str:
    return ", ".join(name for name in parameters if name != "self")
