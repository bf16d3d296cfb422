"""The engine under test and the clients that live as long as it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.environments import NODE, PYTHON, install_all, missing_tool
from tests.compat.fleet import Fleet
from tests.processes import EngineProcess


@pytest.fixture(scope="session")
def environments() -> None:
    """All published clients installed, two at a time; a few seconds when they are."""
    install_all([client for client in (*PYTHON, *NODE) if missing_tool(client) is None])


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine that nobody ends; shared."""
    with EngineProcess(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture(scope="session")
def fleet(engine: EngineProcess, environments: None) -> Iterator[Fleet]:
    """Clients of the shared engine."""
    fleet = Fleet(engine)
    yield fleet
    fleet.end()


@pytest.fixture
def own_engine(tmp_path: Path, environments: None) -> Iterator[EngineProcess]:
    """An engine for one test, that may be killed."""
    with EngineProcess(tmp_path / "engine") as engine:
        yield engine


@pytest.fixture(autouse=True)
def engine_stays_calm(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prints the engine's log, which pytest shows if the test failed; fails if the engine met an unexpected exception."""
    engines = [request.getfixturevalue(name) for name in ("engine", "own_engine") if name in request.fixturenames]
    offsets = [len(engine.log()) for engine in engines]
    yield
    for engine, offset in zip(engines, offsets, strict=True):
        news = engine.log()[offset:]
        print(f"--- engine at {engine.url}\n{news[-8000:]}")
        assert "Traceback" not in news, news[-8000:]
