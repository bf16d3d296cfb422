"""The shop: its own tests, and then two workers at an engine, as a user would deploy and drain them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import EngineProcess, environment, free_port

SHOP = Path(__file__).parents[2] / "examples" / "shop"
PATIENCE_S = 60.0


def test_its_own_tests_pass_as_its_developers_run_them() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=SHOP,
        env=environment({"PYTEST_ADDOPTS": ""}),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


class Deployment:
    """The engine of `iii.yaml`, on ports of its own, and workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http = f"http://127.0.0.1:{free_port()}"
        ports = {
            "iii-http": self.http.rpartition(":")[2],
            "iii-stream": str(free_port()),
            "iii-worker-manager": "{port}",
        }
        config = yaml.safe_load((SHOP / "iii.yaml").read_text())
        for entry in config["workers"]:
            if entry["name"] in ports:
                entry["config"] = {**entry.get("config", {}), "port": ports[entry["name"]]}
        text = re.sub(r"port: '(.*)'", r"port: \1", yaml.safe_dump(config)).replace("./data", str(folder / "data"))
        self.engine = EngineProcess(folder, config=text)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.outbox = folder / "outbox"

    def start(self, program: str) -> subprocess.Popen[bytes]:
        env = environment({"III_URL": self.engine.url, "SHOP_OUTBOX": str(self.outbox)})
        worker = subprocess.Popen([sys.executable, str(SHOP / program)], env=env)
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def request(self, method: str, path: str, payload: Any = None) -> tuple[int, Any]:
        data = None if payload is None else json.dumps(payload).encode()
        request = urllib.request.Request(self.http + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except urllib.error.URLError:
            return 0, b""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path)
    with deployment.engine:
        try:
            yield deployment
        finally:
            deployment.end()


def status_of(shop: Deployment, order_id: str) -> str:
    status, body = shop.request("GET", f"/orders/{order_id}")
    assert status == 200
    found: str = json.loads(body)["status"]
    return found


def test_it_is_deployed_killed_and_drained(shop: Deployment) -> None:
    first = shop.start("orders.py")
    wait_for(lambda: shop.request("GET", "/")[0] == 200)
    status, body = shop.request("POST", "/orders", {"article": "pen", "mail_to": "ada@example.com"})
    assert status == 201
    order = json.loads(body)
    assert status_of(shop, order["id"]) == "placed"  # the job waits: nobody sends mail yet

    mail = shop.start("mail.py")
    wait_for(lambda: status_of(shop, order["id"]) == "confirmed")
    assert (shop.outbox / f"{order['id']}.txt").exists()

    second = shop.start("orders.py")  # a copy
    wait_for(lambda: copies_of(shop) == 2)
    first.kill()
    first.wait()
    wait_for(lambda: copies_of(shop) == 1)
    assert status_of(shop, order["id"]) == "confirmed"

    for worker in (mail, second):
        worker.terminate()
        assert worker.wait(PATIENCE_S) == 0


def copies_of(shop: Deployment) -> int:
    listed = subprocess.run(
        [sys.executable, "-m", "iii.cli", "worker", "list", "--json", "--url", shop.engine.url],
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return sum(str(row["name"]).startswith("orders-") for row in json.loads(listed.stdout))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
