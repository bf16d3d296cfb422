"""Parameters of a subscription (23 §6)."""

from __future__ import annotations

from typing import Any

import msgspec

from iii.console.refusal import Refusal


def params_of(params: bytes, kind: type[Any]) -> Any:
    """Raises Refusal."""
    try:
        return msgspec.json.decode(params, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Refusal(400, f"params: {error!s:.200}", "BAD_PARAMS") from None
