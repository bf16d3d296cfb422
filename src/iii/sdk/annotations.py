"""What a handler's signature says: its parameters, and each type hint resolved by itself (08 §9.6, O16)."""

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, FunctionType, NoneType
from typing import Any

import msgspec

from iii.protocol.json_text import mend_json
from iii.protocol.log_event import WARNING, LogEvent

HINT_UNKNOWN = LogEvent(
    "iii.sdk", "sdk.annotation_unknown", WARNING, "Return annotation not resolved; no response schema is registered",
    means="Evaluating the annotation of a function's result failed, often by a name that is imported for type checkers only.",
    do="Import the name, or leave it: results are then not checked.",
)  # fmt: skip

NOTHING: Any = inspect.Parameter.empty

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

_SIGNATURE: dict[str, Any] = {}
if sys.version_info >= (
    3,
    14,
):  # annotations are evaluated when they are asked for: an unknown name must not raise then
    import annotationlib

    _SIGNATURE = {"annotation_format": annotationlib.Format.FORWARDREF}


class Signature:
    """The parameters of a function and what their hints mean; `NOTHING` where there is none."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        try:
            signature = inspect.signature(function, **_SIGNATURE)
        except (TypeError, ValueError):  # a builtin without a signature
            self.inspectable = False
            self.parameters: list[inspect.Parameter] = []
            self._returns: Any = NOTHING
        else:
            self.inspectable = True
            self.parameters = list(signature.parameters.values())
            self._returns = signature.return_annotation

    def hint(self, parameter: inspect.Parameter | None) -> Any:
        """Of a parameter, with what `Annotated` adds. Raises TypeError: a name in it is unknown."""
        if parameter is None or parameter.annotation is NOTHING:
            return NOTHING
        try:
            return self._resolved(parameter.annotation)
        except Exception as error:  # evaluating an annotation runs the user's code
            raise TypeError(
                f"the annotation {_shown(parameter.annotation)} of parameter '{parameter.name}' cannot be resolved: "
                f"{unknown_name(error)}"
            ) from None

    def result(self) -> Any:
        """What is returned; `Any`, with a warning, if a name in it is unknown: nothing is validated by it."""
        if self._returns is NOTHING:
            return NOTHING
        try:
            return self._resolved(self._returns)
        except Exception as error:
            name = getattr(self._function, "__qualname__", self._function)
            HINT_UNKNOWN(function=name, annotation=_shown(self._returns), reason=unknown_name(error))
            return Any

    def _resolved(self, annotation: Any) -> Any:
        if isinstance(annotation, type):  # nothing in it is left to be looked up
            return annotation
        if annotation is None:
            return NoneType

        def holder() -> None: ...

        holder.__annotations__ = {"hint": annotation}
        written_in, seen_there = _namespaces(self._function)
        return typing.get_type_hints(holder, written_in, seen_there, include_extras=True)["hint"]


class Hints:
    """One handler of a function: what it takes and gives, by `Signature`.

    Attributes:
        payload, metadata: hints of what the handler is called with.
        result: hint of what it returns; `Any` if that cannot be resolved.

    Raises:
        TypeError: the hint of the payload or of the metadata names something unknown.
    """

    def __init__(self, function: Callable[..., Any], signature: Signature | None = None) -> None:
        """`signature` of the function, where it has been looked at."""
        signature = signature or Signature(function)
        self.inspectable, self.parameters = signature.inspectable, signature.parameters
        accepting = (*_POSITIONAL, inspect.Parameter.VAR_POSITIONAL)
        first = next((each for each in self.parameters if each.kind in accepting), None)
        self.payload: Any = signature.hint(first)
        self.payload_default: Any = NOTHING if first is None else first.default
        second = next((each for each in self.parameters if self._is_metadata(each)), None)
        self.metadata: Any = signature.hint(second)
        self.metadata_default: Any = None if second is None or second.default is NOTHING else second.default
        self.result: Any = signature.result()

    def _is_metadata(self, parameter: inspect.Parameter) -> bool:
        return parameter.name == "metadata" and (
            self.metadata_by_position if parameter.kind in _POSITIONAL else self.metadata_by_keyword
        )

    @property
    def takes_payload(self) -> bool:
        return not self.inspectable or any(
            each.kind in (*_POSITIONAL, inspect.Parameter.VAR_POSITIONAL) for each in self.parameters
        )

    @property
    def unfilled(self) -> list[str]:
        """Parameters that a call would leave without a value."""
        positional = [each for each in self.parameters if each.kind in _POSITIONAL]
        others = positional[2 if self.metadata_by_position else 1 :]
        others += [each for each in self.parameters if each.kind is each.KEYWORD_ONLY and each.name != "metadata"]
        return [each.name for each in others if each.default is NOTHING]

    @property
    def metadata_by_keyword(self) -> bool:
        return any(each.name == "metadata" and each.kind is each.KEYWORD_ONLY for each in self.parameters)

    @property
    def metadata_by_position(self) -> bool:
        """Only as the second one: elsewhere the name means something of the user's."""
        positional = [each for each in self.parameters if each.kind in _POSITIONAL]
        return len(positional) > 1 and positional[1].name == "metadata"


decode_plain = msgspec.json.Decoder().decode


def read_plain(raw: bytes) -> Any:
    """JSON as plain values; what strict JSON forbids but clients send becomes null or U+FFFD (L14)."""
    try:
        return decode_plain(raw)
    except msgspec.DecodeError:
        return decode_plain(mend_json(bytes(raw)))


def named_parameters(signature: Signature) -> list[inspect.Parameter]:
    """Those that stand for one value each."""
    return [each for each in signature.parameters if each.kind not in _VARIADIC]


def unknown_name(error: Exception) -> str:
    """Why an annotation could not be evaluated, for whoever wrote it."""
    if isinstance(error, NameError) and error.name:
        return (
            f"the name '{error.name}' is not defined there; a type that is only imported under TYPE_CHECKING, or that is a "
            "local of another function, exists for the type checker alone"
        )
    return f"{type(error).__name__}: {error}"


def _shown(annotation: Any) -> str:
    text = getattr(annotation, "__forward_arg__", annotation)  # of a ForwardRef
    return repr(text) if isinstance(text, str) else str(text)


# -- where names are looked up ------------------------------------------------------------------------------------


def _namespaces(function: Callable[..., Any]) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The globals of the function that was written, and the names that it sees besides: those of the functions and
    classes around it, as far as they are still there."""
    target = _written(function)
    if inspect.isclass(target):
        return vars(sys.modules.get(target.__module__, typing)), vars(target)
    written_in: dict[str, Any] = getattr(target, "__globals__", {})
    seen: dict[str, Any] = {}
    for around in _enclosing(target, written_in):
        seen |= around
    for each in getattr(target, "__type_params__", ()):
        seen[each.__name__] = each
    return written_in, seen


def _written(function: Any) -> Any:
    """Behind partials, bound methods, decorators that say what they wrap, and objects that can be called."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif not inspect.isroutine(function) and not inspect.isclass(function):
            function = type(function).__call__
            if not inspect.isfunction(function):
                return function
        else:
            return function


def _enclosing(function: Any, written_in: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Namespaces around a function, outermost first: running functions, by the name of the code, then its own closure."""
    *around, _ = getattr(function, "__qualname__", "").split(".")
    frames = _frames_of(written_in)
    found: Any = None
    for depth, name in enumerate(around, 1):
        if name == "<locals>":
            local = frames.get(".".join(around[: depth - 1]), {})
            yield local
            found = local
        else:
            found = found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
            found = written_in.get(name) if depth == 1 else found
            if inspect.isclass(found):
                yield vars(found)
    if inspect.isfunction(function):
        yield _closure(function)


def _closure(function: FunctionType) -> dict[str, Any]:
    """Names of the functions around it that it uses; without those that are assigned later."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def _frames_of(module: dict[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The locals of the functions of a module that are running on this thread, by qualified name; the innermost wins."""
    found: dict[str, Mapping[str, Any]] = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals is module:
            found.setdefault(frame.f_code.co_qualname, frame.f_locals)
        frame = frame.f_back
    return found
