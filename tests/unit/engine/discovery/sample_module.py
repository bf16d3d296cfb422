"""A module with functions and trigger types, in place of the ones that come later (HTTP, cron, state)."""

from collections.abc import Iterator

from msgspec import Struct

from iii.engine.bindings import Binding
from iii.engine.builtin import builtin
from iii.engine.module import Module
from iii.engine.trigger_types import TriggerType
from iii.protocol.errors import TriggerRegistrationFailed, UnregisterFailed
from iii.protocol.names import DEFAULT_NAMESPACE

HTTP_RESULT = (
    b'{"type":"object","properties":{"status_code":{"type":"integer"},"headers":{"type":"object"},"body":{}},'
    b'"required":[]}'
)


class GetRequest(Struct):
    """Which item."""

    scope: str
    key: str


class SampleModule(Module):
    name = "iii-sample"
    description = "Distributed key-value state management with reactive change triggers."

    def trigger_types(self) -> Iterator[TriggerType]:
        object_schema = b'{"type":"object"}'
        yield TriggerType(
            DEFAULT_NAMESPACE, "http", self, "HTTP requests.",
            config_schema=object_schema, call_schema=object_schema, return_schema=HTTP_RESULT,
        )  # fmt: skip
        yield TriggerType(
            DEFAULT_NAMESPACE, "cron", self, "Passing time.", config_schema=object_schema, call_schema=object_schema
        )

    def bind(self, binding: Binding) -> None:
        if b"refuse" in binding.config:
            raise TriggerRegistrationFailed("api_path is required for http triggers")

    def unbind(self, binding: Binding) -> None:
        if b"keep" in binding.config:
            raise UnregisterFailed("busy")

    @builtin("state::get", spec="05 §1")
    def get(self, request: GetRequest) -> None:
        """Read one item."""

    @builtin("iii::queue::redrive", spec="04 §8.2")
    def redrive(self, request: GetRequest) -> None:
        """Put dead jobs back."""

    @builtin("engine::queue::list_topics", spec="04 §9.1")
    def list_topics(self, request: GetRequest) -> None:
        """List topics."""
