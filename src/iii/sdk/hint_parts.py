"""What a type hint is made of, and so which library can keep all that it says: msgspec, pydantic, or pydantic's version 1."""

import collections.abc
import dataclasses
import inspect
import sys
import typing
from enum import Enum, Flag, auto
from typing import Annotated, Any, Literal, NewType, get_args, get_origin

import msgspec

from iii.sdk.annotations import unknown_name


class Parts(Flag):
    """Of a hint. Only a model can be one part of a type that another library reads."""

    NONE = 0
    MSGSPEC = auto()  # a Struct, or a bound that msgspec alone knows
    MODEL = auto()
    MODEL_1 = auto()
    PYDANTIC = auto()  # bounds, discriminators, dataclasses and types of pydantic
    PYDANTIC_1 = auto()
    BOOLEAN_LITERAL = auto()  # msgspec takes it for a number


_LAZY = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Generator)


def parts_of(hint: Any) -> Parts:
    """Everything in a hint, fields of its classes included; models are not looked into.

    Raises:
        TypeError: a field names something unknown, or the type has no value that is all there.
    """
    return _parts(hint, set())


def model_version(hint: Any) -> int:
    """1 or 2 for a pydantic model, else 0; without importing pydantic."""
    if isinstance(hint, type):
        for base in hint.__mro__:
            if base.__name__ == "BaseModel" and base.__module__ in ("pydantic.main", "pydantic.v1.main"):
                return 2 if hasattr(base, "model_validate") else 1
    return 0


def is_scalar_class(hint: Any) -> bool:
    """Whether it is a class of the user's made of str, int or float: one is made by calling it."""
    return (
        isinstance(hint, type)
        and issubclass(hint, str | int | float)
        and not issubclass(hint, Enum)
        and hint not in (str, int, float, bool)
    )


def _parts(hint: Any, seen: set[int]) -> Parts:
    if isinstance(hint, NewType):
        return _parts(hint.__supertype__, seen)
    if hasattr(hint, "__value__") and not isinstance(hint, type):  # type X = …
        if id(hint) in seen:
            return Parts.NONE
        seen.add(id(hint))
        return _parts(hint.__value__, seen)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        found = _parts(arguments[0], seen)
        for mark in arguments[1:]:
            found |= _of_mark(mark)
        return found
    if origin is Literal:
        if any(isinstance(each, Enum) for each in arguments):
            raise TypeError(f"{hint} has enum members, which cannot be decoded from JSON: use their values")
        return Parts.BOOLEAN_LITERAL if any(isinstance(each, bool) for each in arguments) else Parts.NONE
    if origin in _LAZY or hint in _LAZY:
        raise TypeError(f"{hint} is an iterator type, which a payload cannot be: use list or Sequence")
    if origin in (dict, collections.abc.Mapping, collections.abc.MutableMapping) and _is_container(arguments[0]):
        raise TypeError(f"{hint} has keys of a type that JSON does not allow: use str")
    found = Parts.NONE
    for each in arguments:
        found |= _parts(each, seen)
    cls = origin if isinstance(origin, type) else hint
    return found | _of_class(cls, seen) if isinstance(cls, type) else found


def _is_container(key: Any) -> bool:
    cls = get_origin(key) or key
    return isinstance(cls, type) and (
        issubclass(cls, tuple | list | dict | set | frozenset | msgspec.Struct) or dataclasses.is_dataclass(cls)
    )


def _of_class(cls: type, seen: set[int]) -> Parts:
    if id(cls) in seen:
        return Parts.NONE
    seen.add(id(cls))
    version = model_version(cls)
    if version:
        return Parts.MODEL if version == 2 else Parts.MODEL_1
    if hasattr(cls, "__pydantic_fields__") or hasattr(cls, "__get_pydantic_core_schema__"):
        return Parts.PYDANTIC
    if hasattr(cls, "__pydantic_model__") or hasattr(cls, "__get_validators__"):
        return Parts.PYDANTIC_1
    params = getattr(cls, "__dataclass_params__", None)
    if params is not None and not params.init and cls.__init__ is not object.__init__:  # type: ignore[misc]
        raise TypeError(f"{cls.__qualname__} has an __init__ of its own, which would not be called: use __post_init__")
    found = Parts.PYDANTIC if hasattr(cls, "__pydantic_config__") else Parts.NONE
    if issubclass(cls, msgspec.Struct):
        found |= Parts.MSGSPEC
    elif not (
        dataclasses.is_dataclass(cls)
        or typing.is_typeddict(cls)
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
        or hasattr(cls, "__attrs_attrs__")
    ):
        return found
    for each in _field_hints(cls).values():
        found |= _parts(each, seen)
    for field in getattr(cls, "__dataclass_fields__", {}).values():
        found |= _of_mark(field.default)  # x: int = pydantic.Field(gt=0)
    return found


def _field_hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception as error:  # evaluating an annotation runs the user's code
        raise TypeError(f"a field of {cls.__qualname__} cannot be resolved: {unknown_name(error)}") from None


def _of_mark(mark: object) -> Parts:
    """What stands behind the type in `Annotated`. Marks of libraries that are not known here bound nothing."""
    if isinstance(mark, msgspec.Meta):
        return Parts.MSGSPEC
    kind = mark if inspect.isclass(mark) else type(mark)
    module = kind.__module__
    if module.startswith("pydantic.v1."):
        return Parts.PYDANTIC_1
    if module.partition(".")[0] == "pydantic" and not hasattr(sys.modules.get("pydantic"), "TypeAdapter"):
        return Parts.PYDANTIC_1
    if module.partition(".")[0] in ("pydantic", "pydantic_core", "annotated_types"):
        return Parts.PYDANTIC
    return Parts.PYDANTIC if hasattr(kind, "__get_pydantic_core_schema__") else Parts.NONE
