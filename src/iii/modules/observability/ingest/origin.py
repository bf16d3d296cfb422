"""Who made the records of a frame: shared by all records of one resource (06 §2.9, O3)."""

from typing import NamedTuple

from iii.modules.observability.ingest.values import Drops, attributes_of
from iii.modules.observability.ingest.wire import Scope, WireResource
from iii.modules.observability.records import Resource


class Origin(NamedTuple):
    """A resource and a scope.

    Attributes:
        service: None if the resource has no `service.name`.
        ours: whether it says that our own client wrote it.
        kind_offset: 1 for Python clients, which number the kinds of spans one lower than OTLP.
    """

    resource: Resource
    service: str | None
    kind_offset: int
    ours: bool = False
    scope_name: str = ""
    scope_version: str = ""

    def scoped(self, scope: Scope | None) -> "Origin":
        """The same resource with a scope."""
        if scope is None:
            return self
        return self._replace(scope_name=scope.name or "", scope_version=scope.version or "")


def origin_of(resource: WireResource | None, drops: Drops) -> Origin:
    values = {} if resource is None else dict(attributes_of(resource.attributes, drops))
    ours = values.get("iii.otlp.kind") == "standard"
    counts_from_0 = values.get("telemetry.sdk.name") == "iii-python-sdk" and not ours
    return Origin(values, values.get("service.name"), int(counts_from_0), ours)
