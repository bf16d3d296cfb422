"""The pytest plugin: fixtures with a test engine. Nothing of the engine is imported before a test asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from iii.testing import TestEngine


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest."""
    parser.addini("iii_app", "apps of the fixture iii_app, each as module:name", type="linelist", default=[])


@pytest.fixture
def iii_app(pytestconfig: pytest.Config) -> Any:
    """The app, or a list of apps, of the fixture `iii_engine`: what the option `iii_app` names. Override it for another."""
    return [_imported(reference) for reference in pytestconfig.getini("iii_app")]


@pytest.fixture
def iii_options() -> dict[str, Any]:
    """What `TestEngine` takes besides apps, for the fixture `iii_engine`. Override it: `return {"queues": {"mail": {}}}`."""
    return {}


@pytest.fixture
def iii_engine(iii_app: Any, iii_options: dict[str, Any]) -> Iterator[TestEngine]:
    """A test engine with the apps of `iii_app` and by `iii_options`, which lives for one test."""
    try:
        from iii.testing import TestEngine
    except ImportError as error:
        pytest.fail(f"the fixture iii_engine: {error}", pytrace=False)
    apps = iii_app if isinstance(iii_app, list | tuple) else [iii_app]
    with TestEngine(*apps, **iii_options) as engine:
        yield engine


def _imported(reference: str) -> Any:
    """Raises UsageError: there is no such app."""
    path, colon, name = reference.partition(":")
    if not (path and colon and name):
        raise pytest.UsageError(f"iii_app: expected module:name, such as shop.orders:app, got {reference!r}")
    try:
        return getattr(import_module(path), name)
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"iii_app: cannot import {reference!r}: {error}") from error
