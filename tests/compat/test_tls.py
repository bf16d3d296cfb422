"""Published clients on a listener with TLS, which trust its authority by their own means (22 §1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import Client
from tests.compat.fleet import parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

CONFIG = """
workers:
  - name: iii-worker-manager
    config: {port: {port}, tls: {cert: "CERT", key: "KEY"}}
"""


@pytest.mark.parametrize("client", parameters(Client("python", "0.25.0"), Client("node", "0.22.1")))
def test_22_1_a_published_client_calls_over_TLS(client: Client, tmp_path: Path, environments: None) -> None:
    require(client)
    authority = Authority(tmp_path / "authority")
    files = authority.server()
    config = CONFIG.replace("CERT", str(files.cert)).replace("KEY", str(files.key))
    trusting = {"SSL_CERT_FILE": str(authority.file), "NODE_EXTRA_CA_CERTS": str(authority.file)}
    with EngineProcess(tmp_path / "engine", config=config) as engine, Driver(client, env=trusting) as driver:
        driver.connect(f"wss://localhost:{engine.port}")
        driver.register("echo", "echo")
        eventually(lambda: _echoes(driver, 1))
        assert driver.call("echo", {"text": "x" * 500_000})["text"] == "x" * 500_000


def _echoes(driver: Driver, number: int) -> bool:
    try:
        return bool(driver.call("echo", {"n": number})["n"] == number)
    except CallFailed:  # not registered yet
        return False
