"""Functions as lists, infos and events show them (02 §5.2, §5.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.bindings import Binding
from iii.engine.discovery.selection import owner_name
from iii.engine.discovery.shape import Shape
from iii.engine.functions import Function
from iii.protocol.replicas import ReplicaPolicy


class FunctionRow(Struct):
    """One function in a list, the union of what clients of both generations read."""

    function_id: str
    namespace: str
    worker_name: Annotated[
        str,
        Meta(
            description="Name of the worker that serves the function; the first segment of the id if that worker has no name."
        ),
    ]
    description: str | UnsetType | None = UNSET
    metadata: Annotated[Raw | UnsetType, Meta(description="Metadata as registered.")] = UNSET
    request_format: Annotated[Raw | UnsetType, Meta(description="JSON Schema as registered, or null.")] = UNSET
    response_format: Annotated[Raw | UnsetType, Meta(description="JSON Schema as registered, or null.")] = UNSET
    replicas: Annotated[
        int | UnsetType,
        Meta(description="Number of workers that serve the function together, if asked for and replicated."),
    ] = UNSET


class Copy(Struct):
    """One of the workers that serve a function together."""

    worker_id: str
    worker_name: str
    active_invocations: Annotated[int, Meta(description="Calls that the worker runs, of all its functions.")]


class ReplicaDetail(Struct):
    """How calls are spread, and over which workers."""

    policy: Annotated[ReplicaPolicy, Meta(description="How the next worker is chosen.")]
    workers: Annotated[list[Copy], Meta(description="Workers that serve the function together.")]


class BoundTrigger(Struct):
    """A trigger of a function, in its info."""

    id: str
    trigger_type: str
    config: Raw


class FunctionDetail(Struct, kw_only=True):
    """Everything about one function; what it does not have is absent."""

    function_id: str
    namespace: str
    worker_name: str
    description: str | UnsetType = UNSET
    request_schema: Annotated[Raw | UnsetType, Meta(description="JSON Schema as registered.")] = UNSET
    response_schema: Annotated[Raw | UnsetType, Meta(description="JSON Schema as registered.")] = UNSET
    metadata: Annotated[Raw | UnsetType, Meta(description="Metadata as registered.")] = UNSET
    registered_triggers: Annotated[list[BoundTrigger], Meta(description="Live triggers of the function.")]
    replicas: Annotated[ReplicaDetail | UnsetType, Meta(description="Copies of a replicated function.")] = UNSET
    args_format: Annotated[Raw | UnsetType, Meta(description="JSON Schema of the args that observers give.")] = UNSET
    private: Annotated[bool | UnsetType, Meta(description="True: only its own worker may call the function.")] = UNSET
    observable: Annotated[bool | UnsetType, Meta(description="False: the function must not be observed.")] = UNSET
    observers: Annotated[int | UnsetType, Meta(description="Number of its observers, if there are any.")] = UNSET


def function_row(function: Function, shape: Shape) -> FunctionRow:
    """A row with formats, as lists and events carry it."""
    row = plain_function_row(function, shape)
    row.request_format = shape.format(function.request_format)
    row.response_format = shape.format(function.response_format)
    return row


def counted_function_row(function: Function, shape: Shape) -> FunctionRow:
    """As `function_row`, and how many workers serve it."""
    row = function_row(function, shape)
    if function.shared:
        row.replicas = len(function.copies or (function,))
    return row


def plain_function_row(function: Function, shape: Shape) -> FunctionRow:
    """A row without formats; modern clients get those from the info."""
    absent = None if shape.legacy else UNSET
    has_metadata = shape.legacy or function.metadata != b"null"
    return FunctionRow(
        function.id,
        function.namespace,
        owner_name(function.owner, function.id),
        shape.description(function.description) if function.description is not None else absent,
        shape.metadata(function.metadata) if has_metadata else UNSET,
    )


def function_detail(function: Function, bound: Iterable[Binding], observers: int = 0) -> FunctionDetail:
    """The info of one function with the live triggers that are bound to it."""
    traits = function.traits
    return FunctionDetail(
        function_id=function.id,
        namespace=function.namespace,
        worker_name=owner_name(function.owner, function.id),
        description=function.description if function.description is not None else UNSET,
        request_schema=unless_null(function.request_format),
        response_schema=unless_null(function.response_format),
        metadata=unless_null(function.metadata),
        registered_triggers=[BoundTrigger(binding.id, binding.trigger_type, Raw(binding.config)) for binding in bound],
        replicas=_replicas(function),
        args_format=UNSET if traits.args_format is None else Raw(traits.args_format),
        private=traits.private or UNSET,
        observable=UNSET if traits.observable else False,
        observers=observers or UNSET,
    )


def _replicas(function: Function) -> ReplicaDetail | UnsetType:
    if function.replicas is None:
        return UNSET
    owners = [copy.owner for copy in function.copies or (function,)]
    copies = [Copy(owner.worker_id, owner_name(owner, function.id), len(owner.handling)) for owner in owners]
    return ReplicaDetail(function.replicas, copies)


def bound_to(functions: Iterable[Function], live: Iterable[Binding]) -> dict[tuple[str, str], list[Binding]]:
    """The live triggers of some functions, by function; one look at all triggers, of which there may be 200,000."""
    found: dict[tuple[str, str], list[Binding]] = {function.key: [] for function in functions}
    for binding in live:
        bound = found.get((binding.namespace, binding.function_id))
        if bound is not None:
            bound.append(binding)
    return found


def unless_null(json: bytes) -> Raw | UnsetType:
    """JSON for a member that is absent when there is nothing to show."""
    return UNSET if json == b"null" else Raw(json)
