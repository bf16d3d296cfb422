"""What a service manager gets over its socket (24 §1)."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from iii.engine.engine import Engine
from iii.engine.module import Module
from iii.server.supervision import Supervision
from tests.integration.server.waiting import until
from tests.processes import EngineProcess

PERIOD_US = "900000"
WAIT_S = 60.0
EXEC = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-exec, config: {exec: ["env > half.txt && mv half.txt environment.txt", "sleep 600"]}}
"""


class Ailing(Module):
    """Keeps the engine from being ready."""

    name = "iii-state"
    description = "Not well."
    unwell = True


class ServiceManager:
    """A real socket with what has arrived there."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.settimeout(WAIT_S)
        self.messages: list[str] = []

    def next(self) -> str:
        """The next message that is not about the watchdog."""
        while (message := self._socket.recv(4096).decode()) == "WATCHDOG=1":
            self.messages.append(message)
        self.messages.append(message)
        return message

    def arrived(self) -> list[str]:
        """All that is there, without waiting."""
        messages = []
        self._socket.settimeout(0)
        try:
            while True:
                messages.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return messages
        finally:
            self._socket.settimeout(WAIT_S)

    async def heard(self, message: str) -> list[str]:
        """All that comes until this does."""
        messages: list[str] = []

        def has_come() -> bool:
            messages.extend(self.arrived())
            return message in messages

        await until(has_come)
        return messages

    def fill(self) -> None:
        """Until it takes no more, from anyone: a single sender may be at its own limit first."""
        full = False
        while not full:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
                other.setblocking(False)
                full = True  # unless it takes something
                try:
                    while True:
                        other.sendto(b"X=1", self.address.replace("@", "\0", 1))
                        full = False
                except BlockingIOError:
                    continue

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceManager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@iii-{os.getpid()}-{time.monotonic_ns()}"
    manager = ServiceManager(address)
    yield manager
    manager.close()


def test_24_1_a_life_as_systemd_hears_of_it(manager: ServiceManager, tmp_path: Path) -> None:
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": PERIOD_US}
    with EngineProcess(tmp_path / "engine", config=EXEC, env=env) as engine:
        assert manager.next() == "STATUS=starting"
        assert manager.next() == "READY=1\nSTATUS=ready"
        give_up_at = time.monotonic() + WAIT_S
        while not (engine.folder / "environment.txt").exists():
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
        engine.config_path.write_text("workers: [{name: nonsense}]")
        reloading, moment, status = manager.next().splitlines()
        assert (reloading, status) == ("RELOADING=1", "STATUS=reloading")
        assert 0 <= time.monotonic() - int(moment.removeprefix("MONOTONIC_USEC=")) / 1e6 < 60
        assert manager.next() == "READY=1\nSTATUS=ready"
        assert engine.stop() == 0
        assert "reload.rejected" in engine.log()
        assert manager.next() == "STOPPING=1\nSTATUS=stopping"
        names = {line.partition("=")[0] for line in (engine.folder / "environment.txt").read_text().splitlines()}
    assert "WATCHDOG=1" in manager.messages
    assert names.isdisjoint({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    assert set(manager.arrived()) <= {"WATCHDOG=1"}


async def test_24_1_the_watchdog_is_fed_while_the_loop_turns(manager: ServiceManager, engine: Engine) -> None:
    pid = str(os.getpid())
    supervision = Supervision({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000", "WATCHDOG_PID": pid})
    supervision.start(engine.readiness)
    for _ in range(3):
        await until(lambda: "WATCHDOG=1" in manager.arrived())
    time.sleep(0.2)  # noqa: ASYNC251  # the loop does not turn
    assert manager.arrived() == []
    await until(lambda: "WATCHDOG=1" in manager.arrived())
    supervision.stop()
    assert not any("WATCHDOG" in message for message in manager.arrived())


@pytest.mark.parametrize("variables", [{}, {"WATCHDOG_USEC": "60000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
async def test_24_1_no_watchdog_where_none_is_asked_for(
    manager: ServiceManager, engine: Engine, variables: dict[str, str]
) -> None:
    supervision = Supervision({"NOTIFY_SOCKET": manager.address, **variables})
    supervision.start(engine.readiness)
    engine.readiness.begin()
    assert manager.arrived() == ["STATUS=starting", "READY=1\nSTATUS=ready"]
    supervision.stop()


async def test_24_1_what_is_not_well_is_the_status_and_a_reload_ends_all_the_same(
    manager: ServiceManager, engine: Engine
) -> None:
    supervision = Supervision({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000"})
    supervision.start(engine.readiness)
    supervision.reload_begun()  # before the engine is ready nobody waits for its end
    supervision.reload_ended()
    engine.readiness.begin()
    engine.add_module(Ailing(engine))
    heard = await manager.heard("STATUS=not well: iii-state")
    assert [each for each in heard if each.startswith("READY")] == ["READY=1\nSTATUS=ready"]
    supervision.reload_begun()
    supervision.reload_ended()
    assert manager.arrived()[-1] == "READY=1\nSTATUS=not well: iii-state"
    supervision.stopping()
    supervision.reload_begun()
    supervision.reload_ended()
    assert manager.arrived()[-1] == "STOPPING=1\nSTATUS=stopping"
    supervision.stop()


async def test_24_1_a_socket_that_takes_nothing_holds_nothing_up(
    manager: ServiceManager, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    supervision = Supervision({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000"})
    manager.fill()
    supervision.start(engine.readiness)
    engine.readiness.begin()
    assert [record.getMessage() for record in caplog.records] == [
        'Service manager not notified (reason="Resource temporarily unavailable")'
    ]
    await manager.heard("READY=1\nSTATUS=ready")
    supervision.stop()


@pytest.mark.parametrize("address", ["vsock:2:1", "relative", "@" + "n" * 200, "/none/there"])
async def test_24_1_an_address_of_no_use_is_one_warning(
    engine: Engine, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000"}
    supervision = Supervision(environment)
    supervision.start(engine.readiness)
    engine.readiness.begin()
    supervision.stopping()
    supervision.stop()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert environment == {}


async def test_24_1_without_a_service_manager_nothing_is_done(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    supervision = Supervision({})
    supervision.start(engine.readiness)
    engine.readiness.begin()
    supervision.stopping()
    supervision.stop()
    assert caplog.records == []
