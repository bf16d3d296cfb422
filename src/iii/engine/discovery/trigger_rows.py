"""Trigger types and triggers as lists and infos show them (02 §5.5–5.10)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from iii.engine.bindings import Binding
from iii.engine.discovery.function_rows import FunctionDetail, unless_null
from iii.engine.discovery.selection import owner_name
from iii.engine.discovery.shape import Shape
from iii.engine.functions import FunctionRegistry
from iii.engine.trigger_types import TriggerType
from iii.protocol.limits import CONFIG_SUMMARY_CODE_POINTS
from iii.protocol.names import first_segment

State = Annotated[
    Literal["pending"] | UnsetType,
    Meta(description="`pending` while the trigger waits for the provider of its type; else absent."),
]


class TriggerTypeRow(Struct):
    """One trigger type in a list; schemas are in its info."""

    id: str
    namespace: str
    worker_name: Annotated[str, Meta(description="Name of the worker that provides the trigger type.")]
    description: str


class TriggerTypeDetail(Struct):
    """Everything about one trigger type; schemas it does not have are absent."""

    id: str
    namespace: str
    worker_name: str
    description: str
    instance_count: Annotated[int, Meta(description="Number of live triggers of this type, in all namespaces.")]
    configuration_schema: Annotated[Raw | UnsetType, Meta(description="JSON Schema of a trigger's `config`.")] = UNSET
    request_schema: Annotated[
        Raw | UnsetType, Meta(description="JSON Schema of the payload that target functions get.")
    ] = UNSET
    response_schema: Annotated[
        Raw | UnsetType,
        Meta(description="JSON Schema of what target functions return; absent if the type does not prescribe one."),
    ] = UNSET


class TriggerInstance(Struct):
    """One trigger as clients up to 0.12 read it."""

    id: str
    trigger_type: str
    function_id: str
    config: Raw
    metadata: Raw | UnsetType = UNSET
    state: State = UNSET


class RegisteredTriggerRow(Struct):
    """One trigger in a list."""

    id: str
    trigger_type: str
    function_id: str
    namespace: Annotated[str, Meta(description="Namespace of the target function.")]
    worker_name: Annotated[str, Meta(description="Name of the worker that serves the target function.")]
    config: Raw
    config_summary: Annotated[str, Meta(description="First characters of `config`, for display.")]
    metadata: Raw | UnsetType = UNSET
    state: State = UNSET


class RegisteredTriggerDetail(Struct):
    """Everything about one trigger."""

    id: str
    trigger_type: str
    function_id: str
    namespace: str
    worker_name: str
    config: Raw
    trigger: Annotated[TriggerTypeDetail | None, Meta(description="Trigger type; null if no worker provides it.")]
    function: Annotated[FunctionDetail | None, Meta(description="Target function; null if no worker serves it.")]
    metadata: Raw | UnsetType = UNSET
    state: State = UNSET


def trigger_type_row(trigger_type: TriggerType) -> TriggerTypeRow:
    return TriggerTypeRow(
        trigger_type.id,
        trigger_type.namespace,
        owner_name(trigger_type.owner, trigger_type.id),
        trigger_type.description,
    )


def trigger_type_detail(trigger_type: TriggerType, instance_count: int) -> TriggerTypeDetail:
    return TriggerTypeDetail(
        trigger_type.id,
        trigger_type.namespace,
        owner_name(trigger_type.owner, trigger_type.id),
        trigger_type.description,
        instance_count,
        configuration_schema=unless_null(trigger_type.config_schema),
        request_schema=unless_null(trigger_type.call_schema),
        response_schema=unless_null(trigger_type.return_schema),
    )


def trigger_instance(binding: Binding, shape: Shape) -> TriggerInstance:
    return TriggerInstance(
        binding.id,
        binding.trigger_type,
        binding.function_id,
        Raw(binding.config),
        _metadata(binding, shape),
        state_of(binding),
    )


def registered_trigger_row(binding: Binding, functions: FunctionRegistry, shape: Shape) -> RegisteredTriggerRow:
    return RegisteredTriggerRow(
        binding.id,
        binding.trigger_type,
        binding.function_id,
        binding.namespace,
        target_owner_name(binding, functions),
        Raw(binding.config),
        config_summary(binding.config),
        _metadata(binding, shape),
        state_of(binding),
    )


def target_owner_name(binding: Binding, functions: FunctionRegistry) -> str:
    """Who serves the target now, else the first segment of its id."""
    target = functions.find(binding.function_id, binding.namespace)
    return first_segment(binding.function_id) if target is None else owner_name(target.owner, target.id)


def state_of(binding: Binding) -> Literal["pending"] | UnsetType:
    return "pending" if binding.provider is None else UNSET


def config_summary(config: bytes) -> str:
    """Compact JSON, cut to 80 code points and an ellipsis; not to be parsed (02 §5.9)."""
    text = msgspec.json.format(config, indent=-1).decode()
    return text if len(text) <= CONFIG_SUMMARY_CODE_POINTS else text[:CONFIG_SUMMARY_CODE_POINTS] + "…"


def _metadata(binding: Binding, shape: Shape) -> Raw | UnsetType:
    return UNSET if binding.metadata == b"null" else shape.metadata(binding.metadata)
