"""HTTP through workers of published clients: JSON, uploads, streams, and a worker killed in the middle (issue 4)."""

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.drivers import Driver, eventually
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import HTTP, feature
from tests.compat.fleet import parameters, require
from tests.processes import EngineProcess, free_port

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

CLIENTS = (*PYTHON, *NODE)


@pytest.fixture(scope="module")
def http_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, http_port: int) -> Iterator[EngineProcess]:
    """With HTTP."""
    config = (
        "workers:\n- {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}\n"
        f"- {{name: iii-http, config: {{port: {http_port}}}}}\n"
    )
    folder: Path = tmp_path_factory.mktemp("engine")
    with EngineProcess(folder, config=config) as engine:
        yield engine


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@feature(HTTP)
@pytest.mark.parametrize("client", parameters(*CLIENTS))
def test_03_a_route_of_every_published_client(
    client: Client, engine: EngineProcess, http_port: int, environments: None
) -> None:
    require(client)
    with Driver(client) as worker:
        worker.connect(engine.url, f"web {client}")
        base = f"/{client}".replace(" ", "-").replace("@", "-")
        for kind, method, path in (
            ("http_json", "POST", f"{base}/users/:id"), ("http_upload", "POST", f"{base}/upload"),
            ("http_stream", "GET", f"{base}/events"), ("http_hang", "GET", f"{base}/hang"),
        ):  # fmt: skip
            function_id = f"{base}::{kind}"
            worker.register(function_id, kind)
            trigger = {"type": "http", "function_id": function_id, "config": {"api_path": path, "http_method": method}}
            worker.ask("register_trigger", name=kind, trigger=trigger)
        worker.discover("functions")
        eventually(lambda: ask(http_port, "OPTIONS", f"{base}/hang")[1].get("allow"))

        status, headers, body = ask(
            http_port, "POST", f"{base}/users/7?q=x&q=y", json.dumps({"a": [1]}), content_type="application/json"
        )
        assert (status, headers["content-type"], headers["x-client"]) == (201, "application/json", "yes")
        assert json.loads(body) == {
            "path_params": {"id": "7"}, "query_params": {"q": "y"}, "body": {"a": [1]}, "method": "POST",
        }  # fmt: skip
        content = os.urandom(700_000)
        boundary = b"--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n" + content + b"\r\n--b--\r\n"
        for sent, content_type in (
            (content, "application/octet-stream"),
            (boundary, "multipart/form-data; boundary=b"),
        ):
            status, _, body = ask(http_port, "POST", f"{base}/upload", sent, content_type=content_type)
            assert (status, json.loads(body)) == (200, {"size": len(sent)})
        chunks = (content[start : start + 10_000] for start in range(0, len(content), 10_000))
        assert json.loads(ask(http_port, "POST", f"{base}/upload", chunks)[2]) == {"size": len(content)}
        status, headers, body = ask(http_port, "GET", f"{base}/events")
        assert (status, headers["content-type"]) == (206, "text/event-stream")
        assert body == b"".join(b"data: %d\n\n" % number for number in range(4))
        assert ask(http_port, "PUT", f"{base}/events")[0] == 405

        connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=60)
        connection.request("GET", f"{base}/hang")
        answer = connection.getresponse()
        assert answer.read(4) == b"half"
        worker.kill()
        with pytest.raises(http.client.IncompleteRead):  # an aborted transfer, not a clean end
            answer.read()
        connection.close()
    eventually(lambda: ask(http_port, "GET", f"{base}/events")[0] == 503)  # the worker has left (P13)
