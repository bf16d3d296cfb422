"""Durations and ages, as people read and type them."""

import argparse
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def duration_text(nanoseconds: int) -> str:
    """Three figures and a unit: `0.42 ms`, `123 ms`, `1.23 s`; above a minute `2 min 3 s`."""
    ms = max(nanoseconds, 0) / 1e6
    if ms < 999.5:
        return f"{_figures(ms)} ms"
    seconds = ms / 1000
    if seconds < 59.5:
        return f"{_figures(seconds)} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _figures(number: float) -> str:
    return f"{number:.2f}" if number < 9.995 else f"{number:.1f}" if number < 99.95 else f"{number:.0f}"


def seconds_of(text: str) -> float:
    """`90s`, `10m`, `2h`, `1d`; a number alone is seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-z]*)", text.strip().lower())
    unit = _UNITS.get(found[2] or "s") if found else None
    if found is None or unit is None or float(found[1]) * unit > 1e9:
        raise argparse.ArgumentTypeError(f"expected a duration such as 250ms, 90s, 10m, 2h or 1d, got '{text}'")
    return float(found[1]) * unit


def milliseconds_of(text: str) -> float:
    """`250`, `250ms`, `1.5s`; a number alone is milliseconds."""
    number = text.strip()
    return seconds_of(f"{number}ms" if number.replace(".", "", 1).isdecimal() else number) * 1000
