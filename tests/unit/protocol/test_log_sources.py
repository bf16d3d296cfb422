"""Sources of log lines for which a level can be set (06 §11)."""

import logging
import subprocess
import sys

import pytest

from iii.protocol.log_line import ACCESS_LOG, PROCESS_LOG, WORKER_LOG
from iii.protocol.log_sources import unknown_sources

ROOMS = "cli, console, engine,"


@pytest.mark.parametrize(
    "level",
    [
        "debug",
        "info,iii=debug,iii::engine::router=trace,iii.modules.queue=warn",
        f"{WORKER_LOG}=off,{PROCESS_LOG}=off,{ACCESS_LOG}=off",
        "asyncio=debug,_granian=off,granian.access=off,aiohttp.access=off,watchfiles.main=off",
        "off,iii.engine=loud,=info",
    ],
)
def test_06_s11_sources_that_exist(level: str) -> None:
    assert unknown_sources(level) == []


def test_06_s11_a_source_stays_unknown_when_a_level_was_set_for_it() -> None:
    logging.getLogger("iii.enginee")
    logging.getLogger("queue.part").setLevel(logging.NOTSET)
    assert len(unknown_sources("iii.enginee=debug,queue=debug,queue.part=debug")) == 3


EVENTS_OF_AN_ENGINE = """
import iii.server.process
from iii.protocol.log_event import declared
from iii.protocol.log_sources import unknown_sources
print(len(declared) > 100, unknown_sources(",".join(f"{event.source}=info" for event in declared.values())))
"""


def test_06_s11_all_events_have_a_source_that_exists() -> None:
    """In a process of its own: tests declare events, and so does the SDK."""
    told = subprocess.run([sys.executable, "-c", EVENTS_OF_AN_ENGINE], capture_output=True, text=True, timeout=120)
    assert (told.stdout, told.returncode) == ("True []\n", 0), told.stderr


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("iii.enginee", ", did you mean 'iii.engine'?"),
        ("iii::modules::queu", ", did you mean 'iii.modules.queue'?"),
        ("iii.engine.router.calls", ", did you mean 'iii.engine.router'?"),
        ("queue", ", did you mean 'iii.modules.queue'?"),  # of Python, too, but that one logs nothing
        ("iii.queue", ", did you mean 'iii.modules.queue'?"),
        ("iii-http", ", did you mean 'iii.modules.http'?"),
        ("engine.router", ", did you mean 'iii.engine.router'?"),
        ("iii.modules.zzz", ", known in iii.modules: bridge, configuration,"),
        ("tower_http", f", known in iii: {ROOMS}"),
        (".", f", known in iii: {ROOMS}"),
        ("/etc", f", known in iii: {ROOMS}"),
        ("iii./etc", f", known in iii: {ROOMS}"),
        ("__main__", f", known in iii: {ROOMS}"),
    ],
)
def test_06_s11_an_unknown_source_is_named_with_what_there_is(source: str, hint: str) -> None:
    (unknown,) = unknown_sources(f"info,{source}=debug,asyncio=off")
    assert unknown.startswith(f"'{source.replace('::', '.')}'{hint}")


def test_06_s11_long_sources_are_cut() -> None:
    (unknown,) = unknown_sources(f"{'x' * 100_000}=debug")
    assert len(unknown) < 400
