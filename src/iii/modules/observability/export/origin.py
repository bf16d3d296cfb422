"""Which records came from the same process and scope: a request names each of them once (14 §1)."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from iii.modules.observability.records import LogRecord, Metric, Span

R = TypeVar("R", Span, Metric, LogRecord)
Origin = tuple[Mapping[str, str], str, str]
"""Resource, name and version of the scope."""


def by_origin(records: Iterable[R], own_resource: Mapping[str, str]) -> list[tuple[Origin, list[R]]]:
    """Those of one process and one scope together, in the order in which they came."""
    groups: dict[object, tuple[Origin, list[R]]] = {}
    for record in records:
        resource = record.resource
        scope, version = record.instrumentation_scope_name, record.instrumentation_scope_version
        key = (id(resource) if resource else 0, scope, version)  # the records of a frame share their resource
        if key not in groups:
            groups[key] = ((resource or own_resource, scope, version), [])
        groups[key][1].append(record)
    return list(groups.values())
