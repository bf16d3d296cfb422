"""`engine::functions::list` and `engine::functions::info` (02 §5.2, §5.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from iii.engine.builtin import Later, builtin
from iii.engine.discovery.function_rows import (
    FunctionDetail,
    FunctionRow,
    bound_to,
    counted_function_row,
    function_detail,
    function_row,
)
from iii.engine.discovery.long_list import LongList
from iii.engine.discovery.selection import (
    DialectRequest,
    IncludeInternal,
    Search,
    is_internal,
    mentions,
    owner_name,
    wanted_dialect,
)
from iii.engine.discovery.shape import shape_for_call
from iii.engine.discovery.visibility import View
from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.protocol.errors import InvalidArguments, InvocationForbidden, ItemNotFound
from iii.protocol.limits import INFO_BATCH_IDS
from iii.protocol.names import DEFAULT_NAMESPACE, FUNCTION_INFO, LIST_FUNCTIONS, SEPARATOR
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.engine import Engine


class FunctionListRequest(DialectRequest, kw_only=True):
    include_internal: IncludeInternal = None
    prefix: Annotated[str | None, Meta(description="Only functions whose id starts with this text.")] = None
    worker: Annotated[str | None, Meta(description="Only functions of the worker with this name.")] = None
    workers: Annotated[
        list[str] | None, Meta(description="Only functions of workers with one of these names; all if empty.")
    ] = None
    search: Search = None
    of_workers: Annotated[
        bool | None, Meta(description="Only functions of connected workers, not those of the engine's modules.")
    ] = None
    include_replicas: Annotated[
        bool | None, Meta(description="Also `replicas`, how many workers serve a function together.")
    ] = None


class FunctionList(Struct):
    functions: list[FunctionRow]


class FunctionInfoRequest(Struct, kw_only=True):
    function_id: Annotated[str | None, Meta(description="Id of the function.")] = None
    function_ids: Annotated[
        list[str] | None, Meta(description="Ids of up to 32 functions, instead of `function_id`.")
    ] = None
    namespace: Annotated[
        str | None,
        Meta(
            description="Namespace of the function; absent: `default`, else the only namespace that has the function."
        ),
    ] = None


class FunctionNotListed(Struct):
    """In place of a detail in a batch."""

    function_id: str
    error: Literal["not_found", "forbidden"]


class FunctionBatch(Struct):
    """Several functions."""

    functions: Annotated[
        list[Any],
        Meta(
            description='One entry for each id, in the same order: a detail, or `{"function_id", "error": "not_found"}`.'
        ),
    ]


class FunctionDiscovery:
    """What functions there are."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @builtin(LIST_FUNCTIONS, spec="02 §5.2", waits_for_registrations=True)
    def list_functions(self, request: FunctionListRequest, invocation: Invocation) -> FunctionList | Later:
        """List the registered functions."""
        dialect = wanted_dialect(request, request.prefix, request.worker, request.workers, request.search)
        shape = shape_for_call(invocation, dialect, self._engine.options.discovery_dialect)
        names = set(request.workers or ())
        if request.worker is not None:
            names.add(request.worker)

        view = View(self._engine, invocation)

        def wanted(function: Function) -> bool:
            return (
                (bool(request.include_internal) or not is_hidden(function))
                and not (request.of_workers and function.owner.in_process)
                and function.id.startswith(request.prefix or "")
                and (not names or owner_name(function.owner, function.id) in names)
                and mentions(request.search, function.id, function.description)
                and view.function(function)
            )

        key = _by_rank(request.search) if request.search else _by_id
        row = counted_function_row if request.include_replicas else function_row
        listing = LongList(list(self._engine.functions), wanted, key, row, FunctionList([]))
        return listing.answer(self._engine.turns, invocation, shape)

    @builtin(FUNCTION_INFO, spec="02 §5.3", waits_for_registrations=True)
    def function_info(self, request: FunctionInfoRequest, invocation: Invocation) -> FunctionDetail | FunctionBatch:
        """Describe one function, or several at once; without a namespace `default` first, then the only one that has it."""
        view = View(self._engine, invocation)
        if request.function_id is not None and request.function_ids is not None:
            raise InvalidArguments("pass either `function_id` or `function_ids`, not both")
        if request.function_id is not None:
            return self._one(request.function_id, request.namespace, view)
        if request.function_ids is None:
            raise InvalidArguments("missing field `function_id` (or `function_ids` for a batch)")
        if not request.function_ids:
            raise InvalidArguments("`function_ids` must be a non-empty array of function ids")
        distinct = list(dict.fromkeys(request.function_ids))
        if len(distinct) > INFO_BATCH_IDS:
            raise InvalidArguments(f"too many function_ids (max {INFO_BATCH_IDS})")
        found = {function_id: self._resolve(function_id, request.namespace) for function_id in distinct}
        shown = [function for function in found.values() if function is not None and view.function(function)]
        details = {detail.function_id: detail for detail in self._details(shown, view)}
        return FunctionBatch(
            [
                details.get(function_id)
                or FunctionNotListed(function_id, "not_found" if function is None else "forbidden")
                for function_id, function in found.items()
            ]
        )

    def _one(self, function_id: str, namespace: str | None, view: View) -> FunctionDetail:
        function = self._resolve(function_id, namespace)
        if function is not None and view.function(function):
            return self._details([function], view)[0]
        if function is not None or not view.is_whole:  # whether there is one is not said either
            raise InvocationForbidden(message=f"Function '{shortened(function_id)}' is not visible to this session.")
        raise ItemNotFound(self._why_not(function_id, namespace))

    def _details(self, functions: list[Function], view: View) -> list[FunctionDetail]:
        bound = bound_to(functions, filter(view.trigger, self._engine.bindings))
        store = self._engine.observers.store
        return [function_detail(each, bound[each.key], len(store.of(each.key))) for each in functions]

    def _resolve(self, function_id: str, namespace: str | None) -> Function | None:
        functions = self._engine.functions
        if namespace is not None:
            return functions.exact(function_id, namespace)
        namespaces = functions.namespaces_of(function_id)
        if DEFAULT_NAMESPACE in namespaces:
            return functions.exact(function_id, DEFAULT_NAMESPACE)
        return functions.exact(function_id, namespaces[0]) if len(namespaces) == 1 else None

    def _why_not(self, function_id: str, namespace: str | None) -> str:
        functions = self._engine.functions
        namespaces = functions.namespaces_of(function_id)
        if not namespaces:
            refused = functions.refused.get((namespace or DEFAULT_NAMESPACE, function_id))
            why = f" Its registration was refused: {refused}" if refused else ""
            return f"Function '{function_id}' is not registered.{why}"
        return (
            f"Function '{function_id}' is ambiguous: it is registered in namespace(s): {', '.join(namespaces)}. "
            "Pass `namespace` to select one."
        )


class _Flags(Struct):
    internal: object = None


_flags = msgspec.json.Decoder(_Flags)


def is_hidden(function: Function) -> bool:
    """Whether lists leave a function out: it is the engine's, or its `metadata.internal` is exactly true."""
    if is_internal(function.id):
        return True
    if function.metadata[:1] != b"{":
        return False
    return _flags.decode(function.metadata).internal is True


def _by_id(function: Function) -> tuple[str, str]:
    return function.id, function.namespace


def _by_rank(search: str) -> Callable[[Function], tuple[int, str, str]]:
    """Best matches first: a segment or the beginning of the id, somewhere in the id, in the description only."""
    needle = search.lower()

    def key(function: Function) -> tuple[int, str, str]:
        identifier = function.id.lower()
        if identifier.startswith(needle) or needle in identifier.split(SEPARATOR):
            rank = 0
        else:
            rank = 1 if needle in identifier else 2
        return rank, function.id, function.namespace

    return key
