"""How a decorator is written: one that is written otherwise is refused where it stands, with the right form (11 §1)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from typing import Any, TypeAlias, TypeVar, cast

from iii.protocol.suggestion import did_you_mean
from iii.sdk.argument_kinds import check_kinds

D = TypeVar("D", bound=Callable[..., Any])
Names: TypeAlias = Callable[[], Iterable[str]]

_signature = lru_cache(maxsize=64)(inspect.signature)  # of methods of ours: each is a decorator many times


def with_parentheses(takes: str, example: str, also: Names = tuple) -> Callable[[D], D]:
    """Of a method that makes a decorator. Its first argument is never a function, so one that is was meant to be decorated.

    Args:
        takes: what has to be given, in words.
        example: of what stands within the parentheses.
        also: gives the names of options that it takes by `**`.
    """

    def apply(method: D) -> D:
        @wraps(method)
        def checked(self: object, *given: Any, **options: Any) -> Any:
            written = f"@{_holder(self)}.{method.__name__}"
            if given and callable(given[0]):
                raise TypeError(f"{written} takes {takes}, in parentheses: {written}({example})")
            refuse_unknown(written, options, method, also)
            _check_kinds(method, given, options)
            try:
                return method(self, *given, **options)
            except TypeError:
                try:
                    _signature(method).bind(self, *given, **options)
                except TypeError as error:
                    raise TypeError(f"{written} takes {takes}: {written}({example}); here: {error}") from None
                raise

        return cast(D, checked)

    return apply


def with_known_options(init: D) -> D:
    """Of the constructor of a class: an option that it does not have is refused with the most similar one."""

    @wraps(init)
    def checked(self: object, *given: Any, **options: Any) -> None:
        refuse_unknown(type(self).__name__, options, init)
        init(self, *given, **options)

    return cast(D, checked)


def refuse_unknown(what: str, options: Iterable[str], function: Callable[..., Any], also: Names = tuple) -> None:
    """Raises TypeError: the function has no parameter of the name of an option, and takes none of `also` of that name."""
    known = _signature(function).parameters
    for name in options:
        if name not in known or known[name].kind is inspect.Parameter.VAR_KEYWORD:
            parameters = [each.name for each in known.values() if each.kind is not each.VAR_KEYWORD] + [*also()]
            if name in parameters:
                continue
            hint = did_you_mean(name, parameters, "did you mean '{}'?", f"it has {_listed(parameters)}")
            raise TypeError(f"{what} has no option '{name}': {hint}")


def _check_kinds(method: Callable[..., Any], given: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Raises TypeError: an argument is of another type than a simple one that it is declared with."""
    _self, *parameters = _signature(method).parameters
    check_kinds(method.__annotations__, dict(zip(parameters, given, strict=False)) | options)


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
