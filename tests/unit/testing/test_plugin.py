"""The pytest plugin as a project has it: in a process of its own (15 §5)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from iii.installation import how_to_install

APP = """
from contextlib import asynccontextmanager

import iii


class App:
    @asynccontextmanager
    async def connect(self, address):
        async with iii.connect_worker(address, iii.InitOptions(worker_name="shop")) as worker:
            @worker.function("shop::add")
            async def add(data):
                return data["a"] + data["b"]

            yield worker


app = App()
"""
INI = "[pytest]\niii_app = shop:app\npythonpath = .\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"


def run(
    folder: Path, tests: str, *options: str, ini: str = INI, plugin: bool = True
) -> subprocess.CompletedProcess[str]:
    (folder / "shop.py").write_text(APP)
    (folder / "pytest.ini").write_text(ini)
    (folder / "test_shop.py").write_text(tests)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            *(["-p", "iii.testing.plugin"] if plugin else []),
            *options,
        ],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_fifty_tests_of_a_module_run(tmp_path: Path) -> None:
    tests = """
import pytest

@pytest.mark.parametrize("n", range(25))
def test_sync(iii_engine, n):
    assert iii_engine.call("shop::add", {"a": n, "b": 1}) == n + 1

@pytest.mark.parametrize("n", range(25))
async def test_async(iii_engine, n):
    assert await iii_engine.call_async("shop::add", {"a": n, "b": 1}) == n + 1
"""
    done = run(tmp_path, tests, "-o", "asyncio_mode=auto", "--durations=5")
    assert "50 passed" in done.stdout, done.stdout + done.stderr


def test_each_test_has_an_engine_of_its_own(tmp_path: Path) -> None:
    tests = """
def test_one(iii_engine):
    iii_engine.state("s").set("k", 1)

def test_two(iii_engine):
    assert iii_engine.state("s").get("k") is None
"""
    done = run(tmp_path, tests)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_project_names_its_apps_itself(tmp_path: Path) -> None:
    tests = """
import pytest
import shop

@pytest.fixture
def iii_app():
    return shop.App()

def test_one(iii_engine):
    assert iii_engine.call("shop::add", {"a": 1, "b": 1}) == 2
"""
    done = run(tmp_path, tests, ini=INI.replace("iii_app = shop:app\n", ""))
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_15_s5_a_project_gives_the_options_of_its_engine(tmp_path: Path) -> None:
    tests = """
import pytest

@pytest.fixture
def iii_options():
    return {"queues": {"mail": {"max_retries": 1}}, "deadline_s": 7}

def test_one(iii_engine):
    iii_engine.enqueue("shop::add", {"a": 1, "b": 2}, queue="mail")
    assert [call.result for call in iii_engine.run_jobs()] == [3]
"""
    done = run(tmp_path, tests)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ("shop", "iii_app: expected module:name, such as shop.orders:app, got 'shop'"),
        ("shop:application", "iii_app: cannot import 'shop:application'"),
        ("nowhere:app", "iii_app: cannot import 'nowhere:app'"),
    ],
)
def test_an_app_that_is_not_there_is_named(tmp_path: Path, named: str, complaint: str) -> None:
    done = run(tmp_path, "def test_one(iii_engine): ...", ini=INI.replace("shop:app", named))
    assert complaint in done.stdout + done.stderr


def test_what_a_failing_test_shows(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_one(iii_engine):\n    iii_engine.call('shop::add', {'a': 1})\n")
    assert "In the handler of shop::add" in done.stdout
    assert 'return data["a"] + data["b"]' in done.stdout
    assert "KeyError" in done.stdout


@pytest.mark.parametrize(
    "call",
    [
        "iii_engine.call('shop::add', {'a': 1})",
        "await iii_engine.call_async('shop::add', {'a': 1})",
        "iii_engine.call('shop::ad')",
        "iii_engine.state('shop').update('k', 5)",
        "iii_engine.advance(-1)",
        "TestEngine(Refusing()).start()",
    ],
)
def test_15_3_3_a_failing_test_shows_no_line_of_this_package(tmp_path: Path, call: str) -> None:
    tests = f"""
from contextlib import asynccontextmanager
from iii.testing import TestEngine

class Refusing:
    @asynccontextmanager
    async def connect(self, address):
        raise RuntimeError("no database")
        yield

{"async " if "await" in call else ""}def test_one(iii_engine):
    {call}
"""
    done = run(tmp_path, tests, "-o", "asyncio_mode=auto")
    report = done.stdout.partition("FAILURES")[2]
    assert f">       {call}" in report or "Refusing" in call, report
    own = [line for line in report.splitlines() if "iii/" in line and "In the handler" not in line]
    before_the_handler = report.partition("In the handler")[0].splitlines()
    assert [line for line in own if line in before_the_handler] == [], report
    assert [line for line in before_the_handler if "futures" in line or "asyncio/" in line] == []
    assert "no database" in report or "Refusing" not in call


def test_a_project_without_these_tests_imports_nothing_of_the_engine(tmp_path: Path) -> None:
    tests = """
import sys

def test_one():
    ours = {name for name in sys.modules if name.startswith("iii")}
    assert ours <= {"iii", "iii.first_use", "iii.installation", "iii.testing", "iii.testing.plugin"}, ours
    assert not {"msgspec", "picows", "granian", "uvloop"} & set(sys.modules)
"""
    done = run(tmp_path, tests, "-p", "no:asyncio", "-p", "no:hypothesispytest", ini="[pytest]\n")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_test_engine_loads_no_http_server_and_no_http_client(tmp_path: Path) -> None:
    tests = """
import sys

def test_one(iii_engine):
    assert not {"granian", "aiohttp", "uvloop"} & set(sys.modules)
"""
    done = run(tmp_path, tests, "-p", "no:asyncio", "-p", "no:hypothesispytest", ini="[pytest]\n")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_without_the_engine_only_tests_that_need_it_fail(tmp_path: Path) -> None:
    tests = """
def test_other(): ...

def test_one(iii_engine): ...
"""
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['yaml'] = None\n")
    done = run(tmp_path, tests)
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    expected = (
        "the fixture iii_engine: iii.testing runs the engine: the engine and the command line need further packages"
    )
    assert f"{expected} (yaml): {how_to_install('engine')}" in done.stdout


def test_examples_of_hypothesis_begin_with_empty_stores(tmp_path: Path) -> None:
    tests = """
from hypothesis import HealthCheck, given, settings, strategies as st

@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(st.integers(-1000, 1000))
def test_any(iii_engine, n):
    iii_engine.restart()
    assert iii_engine.call("shop::add", {"a": n, "b": 1}) == n + 1
"""
    done = run(tmp_path, tests)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
