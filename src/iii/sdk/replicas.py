"""The mark of a function that several workers serve together (P8)."""

from collections.abc import Mapping
from typing import Any, get_args

from iii.protocol.replicas import MARK, ReplicaPolicy


def check_replicas(policy: object) -> None:
    """Raises ValueError: it is neither None nor a policy."""
    if policy is not None and policy not in get_args(ReplicaPolicy):
        known = " or ".join(map(repr, get_args(ReplicaPolicy)))
        raise ValueError(f"replicas must be {known}, got {policy!r:.200}")


def with_mark(metadata: Any, policy: ReplicaPolicy, function_id: str) -> dict[str, Any]:
    """The metadata of a registration with the mark; one that is there already stays. Raises TypeError."""
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, Mapping):
        raise TypeError(
            f"metadata of '{function_id}' must be a dict, since it is replicated, got {type(metadata).__name__}"
        )
    return {MARK: policy, **metadata}


def is_marked(metadata: object) -> bool:
    """Whether the metadata of a registration has the mark."""
    return isinstance(metadata, Mapping) and metadata.get(MARK) is not None
