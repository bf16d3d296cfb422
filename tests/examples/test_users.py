"""The HTTP example, as its first lines say to try it (issue 4)."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import EngineProcess, environment, free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "users.py"
START_S = 20.0  # a start of Python on a busy machine
CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: {port}}
  - name: iii-http
    config: {host: 127.0.0.1, port: HTTP}
  - name: iii-queue
  - name: iii-cron
"""


def ask(url: str, body: Any = None) -> tuple[int, Any, Any]:
    """Status, headers and text."""
    headers = {} if body is None else {"content-type": "application/json"}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=START_S) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    with EngineProcess(tmp_path, config=CONFIG.replace("HTTP", str(port))) as engine:
        output = (tmp_path / "output").open("wb")
        worker = subprocess.Popen([sys.executable, EXAMPLE], env=environment({"III_URL": engine.url}), stdout=output)
        output.close()
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + START_S
            while ask(f"{url}/countdown?start=0")[0] == 404:  # its last route is not there yet
                assert worker.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield url
        finally:
            worker.kill()
            worker.wait()


def test_users_and_a_countdown_over_http(site: str, tmp_path: Path) -> None:
    status, headers, body = ask(f"{site}/users", {"name": "Ada"})
    assert (status, headers["location"], json.loads(body)) == (201, "/users/1", {"id": 1, "name": "Ada"})
    deadline = time.monotonic() + START_S
    while (tmp_path / "output").read_text() != "Welcome, Ada!\n":  # the job
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ask(f"{site}/users/1")[::2] == (200, '{"id":1,"name":"Ada"}')
    assert ask(f"{site}/users?name=Bob")[::2] == (200, "[]")
    assert ask(f"{site}/users/2")[0] == 404
    status, _, body = ask(f"{site}/users", {"name": ""})
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_request")
    status, _, body = ask(f"{site}/users?limit=1000")
    assert (status, json.loads(body)["error"]["message"]) == (
        400,
        "query parameter 'limit': Expected `int` <= 100, got '1000' - at `$.query_params.limit`",
    )
    status, headers, body = ask(f"{site}/countdown?start=1")
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert body == 'event: tick\ndata: {"left":1}\n\nevent: tick\ndata: {"left":0}\n\n'
