"""Variables of the environment about telemetry whose values say nothing: a misspelt one would only show as what it costs (08 §20)."""

import os
from collections.abc import Callable, Mapping

from iii.protocol.log_event import WARNING, LogEvent

VARIABLE_IGNORED = LogEvent(
    "iii.sdk", "sdk.variable_ignored", WARNING, "Environment variable ignored: its value cannot be used",
    means="The default counts in its place.",
    do="Set it to what `expected` says, or unset it.",
)  # fmt: skip

_SAMPLERS = ("always_on", "always_off", "traceidratio")
_SAMPLER, _SAMPLER_ARG = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_SHOWN = 100
_DIGITS = 18


def _whole_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= _DIGITS


def _ratio(value: str) -> bool:
    try:
        return 0 <= float(value) <= 1
    except ValueError:
        return False


_EXPECTED: dict[str, tuple[Callable[[str], bool], str]] = {
    "OTEL_SPANS_FLUSH_INTERVAL_MS": (_whole_number, "milliseconds, a whole number"),
    "OTEL_LOGS_FLUSH_INTERVAL_MS": (_whole_number, "milliseconds, a whole number"),
    "OTEL_LOGS_BATCH_SIZE": (lambda value: _whole_number(value) and int(value) > 0, "a whole number of 1 or more"),
    "III_TRACE_PAYLOAD_MAX_BYTES": (
        lambda value: _whole_number(value.removeprefix("-")) or value == "unlimited",
        "bytes, a whole number",
    ),
    _SAMPLER: (
        lambda value: value.removeprefix("parentbased_") in _SAMPLERS,
        f"{', '.join(_SAMPLERS)}, or one of these with parentbased_ before it",
    ),
    _SAMPLER_ARG: (_ratio, "a number from 0 to 1"),
}


def warn_of_unusable(environment: Mapping[str, str] = os.environ) -> None:
    """Blank ones count as absent, and an argument of a sampler that takes none is not looked at."""
    for name, (is_usable, expected) in _EXPECTED.items():
        value = environment.get(name, "").strip().lower()
        if name == _SAMPLER_ARG and not environment.get(_SAMPLER, "").strip().lower().endswith("traceidratio"):
            continue
        if value and not is_usable(value):
            VARIABLE_IGNORED(variable=name, value=value[:_SHOWN], expected=expected)
