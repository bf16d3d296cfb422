"""What aiohttp says of a small HTTP port (16 §5)."""

import logging

import pytest

from iii.net.http_log import HttpLog


def test_16_5_a_fault_of_our_own_has_its_stack_trace(caplog: pytest.LogCaptureFixture) -> None:
    HttpLog().exception("Error handling request", exc_info=ValueError("ours"))
    (record,) = caplog.records
    assert (record.name, record.levelno, record.exc_info is not None) == ("aiohttp.server", logging.ERROR, True)
