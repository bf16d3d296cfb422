"""What lists hide unless asked for (02 §5.2)."""

from __future__ import annotations


def is_internal_function(function_id: str, metadata: object = None) -> bool:
    """Whether a function is the engine's own affair."""
    if isinstance(metadata, dict) and metadata.get("internal") is True:
        return True
    return function_id.startswith("engine::") and not function_id.startswith("engine::queue::")
