"""Settings of a queue that come while the engine runs: `queue::define` (04 §10.3, O10)."""

from __future__ import annotations

from typing import Any

import msgspec

from iii.modules.queue.config import NAME_CHARACTERS, NamedQueueConfig, problem
from iii.protocol.errors import InvocationError


class InvalidQueueConfig(InvocationError):
    """A queue cannot be defined like that."""

    code = "invalid_queue_config"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


def defined(name: str, config: dict[str, Any]) -> NamedQueueConfig:
    """Raises InvalidQueueConfig."""
    if not name:
        raise InvalidQueueConfig("queue name is required")
    if len(name) > NAME_CHARACTERS or not name.isprintable():
        raise InvalidQueueConfig(f"queue name must be printable and have at most {NAME_CHARACTERS} characters")
    if name != name.strip():
        raise InvalidQueueConfig("queue name must not have leading or trailing whitespace")
    for field, what in (
        ("concurrency", "must be greater than zero"),
        ("timeout_ms", "must be greater than zero"),
        ("poll_interval_ms", "must be greater than zero"),
        ("max_priority", "must be greater than zero"),
    ):
        if config.get(field) == 0 and not isinstance(config[field], bool):
            raise InvalidQueueConfig(f"queue '{name}' {field} {what}")
    if config.get("type", "standard") not in ("standard", "fifo"):
        raise InvalidQueueConfig(
            f"queue '{name}' type must be either 'standard' or 'fifo', got {config['type']!r:.100}"
        )
    for field in ("message_group_field", "priority_field"):
        if config.get(field) == "":
            raise InvalidQueueConfig(f"queue '{name}' {field} must not be empty")
    if config.get("type") == "fifo" and config.get("message_group_field") is None:
        raise InvalidQueueConfig(f"queue '{name}' with type 'fifo' requires message_group_field")
    known = [field.encode_name for field in msgspec.structs.fields(NamedQueueConfig)]
    for field in config:
        if field not in known:
            raise InvalidQueueConfig(f"queue '{name}' has no setting '{field}' (known: {', '.join(known)})")
    try:
        result = msgspec.convert(config, NamedQueueConfig)
    except msgspec.ValidationError as error:
        raise InvalidQueueConfig(f"queue '{name}': {error}") from None
    wrong = problem(name, result)
    if wrong is not None:
        raise InvalidQueueConfig(wrong[1])
    return result
