"""Published clients on a listener with access control: auth headers, prefix, middleware, filters, tokens (20)."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from iii.protocol.access_token import hash_of, new_token
from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.fleet import OURS, parameters, require
from tests.processes import EngineProcess, free_port

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

WITH_HEADERS = tuple(client for client in (*PYTHON, *NODE) if client.generation >= (0, 11))
TOKEN = new_token()
CONFIG = """
workers:
  - name: iii-worker-manager
    config: {port: {port}}
  - name: iii-worker-manager
    config:
      port: {guarded}
      middleware_function_id: app::echo
      rbac:
        auth_function_id: app::auth
        tokens:
          - {name: old, hash: "{hash}", allow: [worker, 'match("api::*")']}
        expose_functions:
          - match("api::*")
          - match("engine::functions::list")
"""


class Guarded:
    """An engine with a trusted and a guarded listener, and the application on the trusted one."""

    def __init__(self, engine: EngineProcess, port: int, stack: ExitStack) -> None:
        self.engine = engine
        self.url = f"ws://127.0.0.1:{port}"
        self.stack = stack
        self.app = self.comes(OURS, engine.url)
        self.app.register("app::auth", "auth")
        self.app.register("app::echo", "echo")
        self.app.register("api::echo", "echo")
        self.app.register("app::private", "echo")
        self.app.discover("functions")

    def comes(self, client: Client, url: str, **options: object) -> Driver:
        require(client)
        driver = self.stack.enter_context(Driver(client))
        driver.connect(url, f"{client} at {url[-5:]}", **options)
        return driver


@pytest.fixture
def guarded(tmp_path: Path, environments: None) -> Iterator[Guarded]:
    port = free_port()
    config = CONFIG.replace("{guarded}", str(port)).replace("{hash}", hash_of(TOKEN))
    with EngineProcess(tmp_path / "engine", config=config) as engine, ExitStack() as stack:
        yield Guarded(engine, port, stack)


def serves(driver: Driver, function_id: str) -> bool:
    """Whether a call of it gets what it says back."""
    try:
        return bool(driver.call(function_id, {"m": 2})["m"] == 2)
    except CallFailed:  # not registered yet
        return False


def forbidden(driver: Driver, function_id: str) -> str:
    with pytest.raises(CallFailed) as failed:
        driver.call(function_id, {})
    return f"{failed.value.code} {failed.value.message}"


@pytest.mark.parametrize("client", parameters(*WITH_HEADERS))
def test_07_check_15_a_published_client_with_an_auth_header(client: Client, guarded: Guarded) -> None:
    guest = guarded.comes(client, guarded.url, headers={"x-test-token": "valid"})
    guest.register("echo", "echo")

    answer = guest.call("api::echo", {"n": 1})  # the middleware's, which shows what it got
    assert answer["payload"]["n"] == 1
    assert (answer["function_id"], answer["context"]) == ("api::echo", {"user": "u"})
    assert "FORBIDDEN" in forbidden(guest, "app::private")
    assert "FORBIDDEN" in forbidden(guest, "nix::da")
    eventually(lambda: serves(guarded.app, "guest::echo"))
    guest.ask("unregister", function_id="echo")
    eventually(lambda: "guest::echo" not in str(guarded.app.discover("functions")))


@pytest.mark.parametrize("client", parameters(Client("python", "0.9.0"), Client("python", "0.10.0"), *WITH_HEADERS))
def test_20_2_a_published_client_with_its_token_in_the_query(client: Client, guarded: Guarded) -> None:
    guest = guarded.comes(client, f"{guarded.url}?token={TOKEN}")
    guest.register("old::echo", "echo")

    assert guest.call("api::echo", {"n": 1})["payload"]["n"] == 1
    assert "FORBIDDEN" in forbidden(guest, "app::private")
    eventually(lambda: serves(guarded.app, "old::echo"))
