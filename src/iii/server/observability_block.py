"""The block of `iii-observability`: numbers in bounds, and the environment beside it (06 §5.1)."""

from collections.abc import Mapping

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.precedence import put_right, resolved
from iii.server.block import decode_block
from iii.server.document import FilePosition


def decode_observability(
    block: object, place: FilePosition, environment: Mapping[str, str], *, strict: bool, warnings: list[str]
) -> ObservabilityConfig:
    """As `decode_block`. Raises StartFailure."""
    if isinstance(block, dict):
        block, changes = put_right(block)
        warnings.extend(f"{place.at('config', key)}: {key}: {why}" for key, why in changes)
    config = decode_block(block, ObservabilityConfig, place, strict=strict, warnings=warnings)
    config, ignored = resolved(config, block if isinstance(block, dict) else {}, environment)
    warnings.extend(ignored)
    return config
