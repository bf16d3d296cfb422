"""What a worker says about itself, decoded leniently (N10, 01 §6.1, 02 §6.3)."""

import logging
from typing import Any

import msgspec
from msgspec import Struct

from iii.protocol.errors import BlankNamespace, DeserializationFailed
from iii.protocol.log_event import LogEvent
from iii.protocol.names import REGISTER_WORKER, clean_name, is_blank

METADATA_IGNORED = LogEvent(
    __name__, "worker.metadata_ignored", logging.WARNING, "Member of a worker's metadata ignored: unexpected type",
    means="A worker announced itself with a member that has another type than the protocol gives it; the others count.",
    do="Correct the announcement that the client sends.",
)  # fmt: skip

_TELEMETRY_KEYS = ("language", "project_name", "framework")  # never amplitude_api_key (N10)


class WorkerInfo(Struct):
    """Stored metadata of one connection."""

    runtime: str | None = None
    version: str | None = None
    name: str | None = None
    description: str | None = None
    os: str | None = None
    pid: int | None = None
    isolation: str | None = None
    telemetry: dict[str, str | None] | None = None
    features: list[str] | None = None


class Announcement(Struct):
    """One announcement: what it gives, and the namespace it declares."""

    info: WorkerInfo
    namespace: str | None


def read_announcement(data: bytes) -> Announcement:
    """Decode the payload of `engine::workers::register`; a badly typed member is dropped, the others count.

    Raises:
        DeserializationFailed: the payload is not an object.
        BlankNamespace: the namespace was named and left blank.
    """
    try:
        payload = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise DeserializationFailed(REGISTER_WORKER, str(error)) from None
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        raise DeserializationFailed(REGISTER_WORKER, f"expected an object, got {type(payload).__name__}")
    name = clean_name(_string(payload, "name"))
    namespace = _string(payload, "namespace")
    if is_blank(namespace):
        raise BlankNamespace(
            f"namespace is empty: worker '{name or '<unnamed>'}' declared \"{namespace}\". "
            "Give it a name, or omit the field to register in 'default'."
        )
    info = WorkerInfo(
        runtime=_string(payload, "runtime") or "unknown",
        version=_string(payload, "version"),
        name=name,
        description=clean_name(_string(payload, "description")),
        os=_string(payload, "os"),
        pid=_pid(payload),
        isolation=_string(payload, "isolation"),
        telemetry=_telemetry(payload),
        features=_features(payload),
    )
    return Announcement(info, namespace)


def merge(earlier: WorkerInfo, latest: WorkerInfo) -> WorkerInfo:
    """Runtime, version and telemetry are always overwritten, the others only when given (02 §6.4)."""
    return WorkerInfo(
        runtime=latest.runtime,
        version=latest.version,
        telemetry=latest.telemetry,
        features=latest.features if latest.features is not None else earlier.features,
        name=latest.name or earlier.name,
        description=latest.description or earlier.description,
        os=latest.os if latest.os is not None else earlier.os,
        pid=latest.pid if latest.pid is not None else earlier.pid,
        isolation=latest.isolation if latest.isolation is not None else earlier.isolation,
    )


def _dropped(key: str, value: object) -> None:
    METADATA_IGNORED(key=key, type=type(value).__name__)


def _string(payload: dict[str, Any], key: str) -> str | None:
    value = payload.get(key)
    if value is None or isinstance(value, str):
        return value
    _dropped(key, value)
    return None


def _pid(payload: dict[str, Any]) -> int | None:
    value = payload.get("pid")
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32:
        return value
    _dropped("pid", value)
    return None


def _telemetry(payload: dict[str, Any]) -> dict[str, str | None] | None:
    value = payload.get("telemetry")
    if value is None:
        return None
    if not isinstance(value, dict):
        _dropped("telemetry", value)
        return None
    return {key: _string(value, key) for key in _TELEMETRY_KEYS}


def _features(payload: dict[str, Any]) -> list[str] | None:
    value = payload.get("features")
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(feature, str) for feature in value):
        return value
    _dropped("features", value)
    return None
