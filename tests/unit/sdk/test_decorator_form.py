"""A decorator that is written in another form than its own says so, and what it looks like (11 §1)."""

import re
from collections.abc import Callable
from typing import Any

import pytest

import iii
from iii.sdk.place import place_of_the_user
from iii.sdk.worker import Worker
from iii.testing import TestEngine

TAKING = {
    "function": '@app.function takes the id of the function, in parentheses: @app.function("orders::hello")',
    "http": '@app.http takes a method and a path, in parentheses: @app.http("GET", "/users/:id")',
    "cron": '@app.cron takes a schedule, in parentheses: @app.cron("0 9 * * *")',
    "subscribe": '@app.subscribe takes a topic, in parentheses: @app.subscribe("orders")',
    "observe": '@app.observe takes the id of a function, in parentheses: @app.observe("orders::create")',
    "on_queue": '@app.on_queue takes a topic, in parentheses: @app.on_queue("orders")',
    "on_state": '@app.on_state takes a scope, or nothing for all of them, in parentheses: @app.on_state("orders")',
    "on_stream": '@app.on_stream takes the name of a stream, in parentheses: @app.on_stream("orders")',
}
BARE = ("dependency", "on_start", "on_stop")


def handler(payload: Any) -> Any:
    return payload


@pytest.fixture
def app() -> Any:
    return iii.App("orders")


def decorators() -> set[str]:
    """The public methods of an app that say they take the decorated function."""
    documented = {name: getattr(iii.App, name).__doc__ or "" for name in dir(iii.App) if not name.startswith("_")}
    return {name for name, text in documented.items() if "decorated" in text}


def test_11_check_11_no_decorator_is_left_out() -> None:
    assert decorators() == {*TAKING, *BARE}


@pytest.mark.parametrize("name", TAKING)
def test_11_check_11_a_decorator_without_its_parentheses_shows_them(app: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(TAKING[name])}$"):
        getattr(app, name)(handler)
    assert app.declared.functions == {}


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize("options", [{}, {"timeout_s": 3}])
def test_11_check_11_a_decorator_with_parentheses_that_has_none_says_so(
    app: Any, name: str, options: dict[str, int]
) -> None:
    expected = f"@app.{name} takes no arguments: write @app.{name} without parentheses"
    with pytest.raises(TypeError, match=f"^{expected}$"):
        getattr(app, name)(**options)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda app: app.on_queue("a", max_retry=3), "@app.on_queue has no option 'max_retry': did you mean 'max_retries'?"),
        (lambda app: app.subscribe("a", zzz=3), "@app.subscribe has no option 'zzz': it has topic, condition, function_id"),
        (lambda app: app.http("GET"), "@app.http takes a method and a path: @app.http("),
        (lambda app: app.http("GET"), "here: missing a required argument: 'path'"),
        (lambda app: app.cron(), "@app.cron takes a schedule: @app.cron("),
        (lambda app: app.subscribe("a", "b"), "here: too many positional arguments"),
    ],
)  # fmt: skip
def test_11_check_11_a_wrong_option_or_argument_names_the_decorator(
    app: Any, write: Callable[[Any], Any], said: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(said)):
        write(app)


class _OfAKind(Worker):
    """As `register_worker` makes them."""


@pytest.mark.parametrize("kind", [Worker, _OfAKind])
def test_11_check_11_a_worker_is_named_as_one(kind: type[Worker]) -> None:
    worker: Any = kind.__new__(kind)
    with pytest.raises(TypeError, match=r'^@worker\.function .* @worker\.function\("orders::hello"\)$'):
        worker.function(handler)


def test_what_is_written_in_its_form_works_by_keyword_too(app: Any) -> None:
    app.function(function_id="echo")(handler)
    app.on_state()(handler)
    with TestEngine(app) as engine:
        assert engine.call("echo", 7) == 7


def test_a_place_is_outside_of_the_package() -> None:
    assert re.fullmatch(rf"{re.escape(__file__)}:\d+", place_of_the_user())
    assert eval("place()", {"__name__": "iii.sdk.inside", "place": place_of_the_user}).startswith(__file__)


def test_08_s7_1_a_method_without_its_object_is_refused_where_it_is_declared() -> None:
    app = iii.App("orders")

    with pytest.raises(TypeError, match=r"method of class Orders without an object.*Orders\(\)\.create"):

        class Orders:
            @app.function("orders::create")
            def create(self, data: dict[str, int]) -> None: ...

    class Shop:
        def sell(self, data: int) -> int:
            return data + 1

        @app.function("shop::free")
        def free(data: int) -> int:  # type: ignore[misc]  # a function that only stands there
            return data

    app.register_function("shop::sell", Shop().sell)
    with pytest.raises(TypeError, match=r"register_function\('shop::other', Shop\(\)\.sell\)"):
        app.register_function("shop::other", Shop.sell)

    def function(self: int) -> int:
        return self

    app.register_function("plain", function)
