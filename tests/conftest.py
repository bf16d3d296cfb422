"""What every run says first, and how properties are tried."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from iii.server.log_flood import FloodGate
from tests.machine import slowness

# A shell that starts the tests in the background tells them, and so the programs that they interrupt, to ignore Ctrl-C
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow or loaded machine is no fault: hypothesis itself says so only where CI is set. Nor is it one that examples are
# large: which are drawn follows the constants of the whole source, so any change of it may make them so.
settings.register_profile(
    "any machine",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)
settings.load_profile("any machine")


def pytest_report_header() -> str:
    """How far the limits of this run are stretched, as far as that is known at its start."""
    return f"machine: {slowness():.1f} times the time of the reference; promises in milliseconds and loads are scaled by it"


@pytest.fixture
def engine_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """`caplog` behind the filter that the log of an engine has."""
    caplog.handler.addFilter(gate := FloodGate())
    yield caplog
    caplog.handler.removeFilter(gate)
