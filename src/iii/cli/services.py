"""Whom `--worker` can mean: telemetry has services, and a worker's name may be another one than its service's (08 §17.1)."""

from collections.abc import Iterable, Mapping
from typing import Any

from iii.cli.output import one_text

LOOKED_AT = 1_000  # spans or records whose services are named
_NAMED = 10


def no_service(things: str, name: str, found: Iterable[Mapping[str, Any]]) -> str | None:
    """Why nothing matched, if no service has that in its name, and which services there are.

    Args:
        things: `traces`.
        found: the newest spans or log records.
    """
    services = sorted({one_text(each["service_name"]) for each in found})
    if not services or any(name.lower() in service.lower() for service in services):
        return None
    more = f" and {len(services) - _NAMED} more" if len(services) > _NAMED else ""
    known = ", ".join(services[:_NAMED])
    return f"No {things} match: no service has '{one_text(name)}' in its name. Services: {known}{more}."
