"""What every run says first."""

from tests.machine import slowness


def pytest_report_header() -> str:
    """How far the limits of this run are stretched, as far as that is known at its start."""
    return f"machine: {slowness():.1f} times the time of the reference; promises in milliseconds and loads are scaled by it"
