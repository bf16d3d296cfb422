"""JSON Schema: the only file that sees the library (18 §2.4, 21 §3)."""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec

from iii.protocol.limits import MIB
from iii.protocol.secrets import HIDDEN, may_hold_secret

_PROBLEMS = 10  # that are told
_CHARACTERS = 300  # of each
_STEPS = 100_000  # of a pattern, forth and back


def problems(schema: bytes, value: bytes, hides_values: bool = False) -> list[str]:
    """What is wrong with the value, or with the schema; empty if nothing is. Nothing is fetched from anywhere.

    References can make it exponential, and patterns need not be linear: whoever asks sees to that.

    Args:
        hides_values: for texts that others read than who has sent the value.
    """
    import jsonschema_rs  # 15 MB, which most engines never need

    patterns = jsonschema_rs.FancyRegexOptions(backtrack_limit=_STEPS, size_limit=MIB, dfa_size_limit=MIB)
    mask = HIDDEN if hides_values or may_hold_secret(value.decode()) else None
    try:
        validator = jsonschema_rs.validator_for(
            msgspec.json.decode(schema), offline=True, pattern_options=patterns, mask=mask
        )
        found = list(islice(validator.iter_errors(msgspec.json.decode(value)), _PROBLEMS))
    except jsonschema_rs.ValidationError as error:
        return [f"{INVALID_SCHEMA}: {_shown(error)}"]
    except (jsonschema_rs.ReferencingError, ValueError, RecursionError) as error:
        return [f"{INVALID_SCHEMA}: {str(error)[:_CHARACTERS]}"]
    return [_shown(error) for error in found]


INVALID_SCHEMA = "invalid JSON Schema"


def _shown(error: Any) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    text = " ".join(str(error.message).split())
    return f"{place.removeprefix('.')}: {text}"[:_CHARACTERS] if place else text[:_CHARACTERS]
