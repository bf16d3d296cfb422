"""A port of the engine that is not its worker port (issue 14)."""

import re
import time
from pathlib import Path

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, running_engine


def test_the_port_of_http_or_of_streams_is_named_as_such(
    iii: Iii, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    modules = "- {name: iii-http, config: {port: 0}}\n- {name: iii-stream, config: {port: 0}}"
    with running_engine(tmp_path, modules) as engine:
        http = engine.wait_for(r"HTTP ready[^:]*: [^:]*:(?://[^:]*:)?(\d+)")[1]
        done = iii("health", "--port", http)
        assert done.returncode == 1
        assert re.match(
            rf"Error: cannot connect to ws://localhost:{http}: an HTTP server answered with status 404, not the worker port "
            "of an engine, which is 49134 by default; this may be the engine's HTTP port\\. ",
            done.stderr,
        )
        worker = sdk.register_worker(f"ws://127.0.0.1:{http}", sdk.InitOptions(connect_timeout_ms=50))
        give_up_at = time.monotonic() + 60
        while not any("the engine's HTTP port" in str(getattr(line, "fields", "")) for line in caplog.records):
            assert time.monotonic() < give_up_at
            time.sleep(0.01)
        worker.shutdown()
        streams = engine.wait_for(r"Streams ready[^:]*: [^:]*:(?://[^:]*:)?(\d+)")[1]
        done = iii("health", "--port", streams, "--timeout-ms", "3000")
        assert done.returncode == 1
        assert "such as its stream port: commands and workers connect to the worker port." in done.stderr
