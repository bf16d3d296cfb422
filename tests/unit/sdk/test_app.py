"""An app without an engine: what it declares, and what it refuses (11 §1)."""

import functools
import inspect
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import iii
from iii.sdk.hooks import made

_DECLARED = """
import iii

app = iii.App("orders", replicas="round_robin")

@app.function("orders::place")
def place(order: dict[str, int]) -> int: ...

@app.http("POST", "/orders/:id")
async def post(id: int, order: dict[str, int]) -> None: ...

@app.cron("@daily", timezone="Europe/Berlin")
def clean(event: dict[str, str]) -> None: ...

@app.on_queue("mails", concurrency=2)
@app.subscribe("news", function_id="news", each_replica=True)
@app.on_state("orders", function_id="state")
@app.on_stream("chat", function_id="stream")
@app.observe("orders::create", function_id="observed")
def event(event: dict[str, str]) -> None: ...

app.register_function("bill", iii.HttpInvocationConfig(url="https://example.test"))
app.register_trigger({"type": "mail", "function_id": "news"})

@app.on_start
def begin() -> None: raise SystemExit("nothing starts")

@app.dependency
def pool() -> object: raise SystemExit("nothing is made")
"""
_LOOKING = """
import socket, sys, threading
made = []
real = socket.socket.__init__
socket.socket.__init__ = lambda self, *given, **named: (made.append(self), real(self, *given, **named))[1]
"""


def _printed(program: str) -> str:
    ran = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    return ran.stdout


def test_11_check_1_declaring_needs_no_engine_and_starts_nothing() -> None:
    found = "print(made, threading.enumerate() == [threading.main_thread()], app, place.__name__)"
    assert _printed(_LOOKING + _DECLARED + found) == "[] True <App 'orders' disconnected> place\n"


def test_11_check_1_declaring_imports_nothing_that_runs_an_app() -> None:
    """What costs the start of each program, and the collection of each test."""
    running = (
        "asyncio", "concurrent.futures", "iii.net", "iii.sdk.core", "iii.sdk.process_end", "selectors", "socket", "ssl",
        "subprocess", "urllib.parse", "aiohttp", "granian", "opentelemetry", "picows", "psutil", "pydantic", "rich", "uvloop",
    )  # fmt: skip
    found = f"import sys; print([name for name in {running} if name in sys.modules])"
    assert _printed("import iii; app = iii.App('empty')\n" + found) == "[]\n"
    assert _printed(_DECLARED + found) == "[]\n"


_EVERYDAY = """
import sys
before = set(sys.modules)
import iii

app = iii.App("orders", replicas="round_robin")

@app.function("orders::place")
def place(order: dict[str, int]) -> int: ...

@app.http("POST", "/orders/:id")
async def post(id: int, order: dict[str, int], limit: int = 10) -> dict[str, int]: ...

@app.cron("*/5 9 * * mon", function_id="clean")
@app.on_queue("mails", concurrency=2, function_id="mails")
@app.subscribe("news", function_id="news")
@app.on_state("orders", function_id="state")
@app.on_stream("chat", function_id="stream")
def event(event: dict[str, str]) -> None: ...

app.register_trigger({"type": "mail", "function_id": "news"})
"""


def test_11_check_1_declaring_imports_only_what_declaring_takes() -> None:
    """Each took as long to import as ten functions to declare, and came back unseen."""
    dear = {
        "asyncio", "bisect", "calendar", "concurrent.futures", "difflib", "email", "heapq", "json", "locale", "logging", "random",
        "socket", "ssl", "string", "threading", "traceback", "urllib.parse", "zoneinfo",
        "iii.protocol.close_codes", "iii.protocol.secrets", "iii.protocol.traceback_text", "iii.sdk.dependency",
        "iii.sdk.handlers", "iii.sdk.log_output", "iii.sdk.observer", "iii.sdk.observer_declaration", "iii.sdk.options",
        "iii.sdk.providers", "iii.sdk.registrations",
    }  # fmt: skip
    assert _printed(f"{_EVERYDAY}\nprint(sorted({dear} & (set(sys.modules) - before)))") == "[]\n"


def test_11_check_1_what_is_wrong_with_a_declaration_is_said_by_a_program_that_has_imported_no_logging() -> None:
    wrong = "app.register_trigger({'type': 'mail', 'function_id': 'news', 'confg': {}})\n"
    ran = subprocess.run([sys.executable, "-c", _EVERYDAY + wrong], capture_output=True, text=True, timeout=60)
    assert "[WARN] iii.sdk Unknown key ignored (key=confg, of=register_trigger()" in ran.stderr, ran.stderr


def test_11_1_the_policy_of_an_app_is_among_its_options() -> None:
    assert iii.App("orders", replicas="least_busy").options == iii.InitOptions(replicas="least_busy")
    given = iii.App("orders", replicas="least_busy", options=iii.InitOptions(namespace="n")).options
    assert given == iii.InitOptions(replicas="least_busy", namespace="n")
    app = iii.App("orders")
    assert app.options is app.options
    with pytest.raises(ValueError, match="replicas must be"):
        iii.App("orders", replicas="each")  # type: ignore[arg-type]


@pytest.fixture
def app() -> iii.App:
    return iii.App("orders")


ASKING: dict[str, Callable[[iii.App], Any]] = {
    "trigger": lambda app: app.trigger({"function_id": "f"}),
    "state": lambda app: app.state("s").get("k"),
    "stream": lambda app: app.stream("s", "g").items(),
    "workers": lambda app: app.list_workers(),
    "channel": lambda app: app.create_channel(),
    "listener": lambda app: app.on_functions_available(print),
    "statistics": lambda app: app.statistics(),
    "shutdown": lambda app: app.shutdown(),
}


@pytest.mark.parametrize("ask", ASKING)
def test_11_check_2_what_needs_an_engine_says_what_connects(app: iii.App, ask: str) -> None:
    with pytest.raises(
        RuntimeError, match=r"app 'orders' is not connected: app.run\(\) or app.connect\(\) connects it"
    ):
        ASKING[ask](app)
    assert (app.worker_id, app.get_connection_state()) == (None, "disconnected")


async def test_11_check_2_async_too(app: iii.App) -> None:
    with pytest.raises(RuntimeError, match="app 'orders' is not connected"):
        await app.trigger_async({"function_id": "f"})


class Unreadable:
    """Neither library makes one of JSON."""

    def __init__(self, *parts: object) -> None: ...


def unknown_name(order: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Refused."""


def unreadable(order: Unreadable) -> None:
    """Refused."""


@pytest.mark.parametrize(
    ("declare", "kind", "said"),
    [
        (lambda app: app.function("f")(unknown_name), TypeError, "the name 'Missing' is not defined"),
        (lambda app: app.function("f")(unreadable), TypeError, "the handler of 'f' cannot be registered"),
        (lambda app: app.function("f")(lambda a, b: None), TypeError, "requires 'b'"),
        (lambda app: app.function("f")(5), TypeError, "must be callable or HttpInvocationConfig, got int"),
        (lambda app: app.function(" ")(print), ValueError, "id is required"),
        (lambda app: app.function("f", replicas="random")(print), ValueError, "got 'random'"),
        (lambda app: app.function("f", metadata=object())(lambda data: data), TypeError, "object"),
        (lambda app: app.http("GTE", "/a"), ValueError, "unsupported HTTP method 'GTE' (did you mean 'GET'?)"),
        (lambda app: app.http("GET", "/a/:/b"), ValueError, "invalid api_path '/a/:/b': a parameter has no name"),
        (lambda app: app.http("GET", "/:a/:a"), ValueError, "parameter 'a' appears twice"),
        (
            lambda app: app.http("GET", "/a", cancel_on_disconnect="yes"),
            TypeError,
            "cancel_on_disconnect must be True or False, got str",
        ),
        (lambda app: app.http("GET", "/a/*/b"), ValueError, "a wildcard must be the last segment"),
        (lambda app: app.cron("99 * * * *"), ValueError, "invalid cron expression"),
        (lambda app: app.cron("@daily", timezone="Mars/X"), ValueError, "unknown time zone"),
        (lambda app: app.http(None, "/a"), TypeError, "method must be str, got NoneType"),
        (lambda app: app.http("GET", 7), TypeError, "path must be str, got int"),
        (lambda app: app.cron(None), TypeError, "expression must be str, got NoneType"),
        (lambda app: app.cron("@daily", timezone=None), TypeError, "timezone must be str, got NoneType"),
        (lambda app: app.include(inspect), TypeError, "an app includes another iii.App, got <module 'inspect'"),
        (
            lambda app: app.run(49134),
            TypeError,
            "the engine's address must be str, such as 'ws://127.0.0.1:49134', got int",
        ),
        (lambda app: app.on_queue("", concurrency=1), ValueError, "topic is empty"),
        (lambda app: app.on_queue("t", concurrency=-1), ValueError, "concurrency must be at least 0"),
        (lambda app: app.subscribe(7), TypeError, "topic must be str, got int"),
        (lambda app: app.on_stream(""), ValueError, "stream_name is empty"),
        (lambda app: app.cron("@daily")(functools.partial(print)), TypeError, "has no name to make an id of"),
        (lambda app: app.register_trigger({"type": "cron"}), KeyError, "function_id"),
        (
            lambda app: app.register_trigger({"type": "cron", "function_id": "f", "config": {1, 2}}),
            TypeError,
            "Object of type set is not JSON serializable",
        ),
        (
            lambda app: app.register_trigger({"type": "cron", "function_id": "f", "namespace": " "}),
            ValueError,
            "namespace is empty",
        ),
        (lambda app: app.register_trigger_type({"description": "x"}, None), KeyError, "id"),
        (lambda app: app.on_start(5), TypeError, "@app.on_start decorates a function, got int"),
    ],
)
def test_11_check_3_what_is_wrong_is_raised_where_it_is_written(
    app: iii.App, declare: Callable[[Any], Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=re.escape(said)):
        declare(app)


def test_11_check_12_an_id_is_taken_once_and_the_place_of_the_first_is_named(app: iii.App) -> None:
    first = app.register_function("f", lambda data: data)
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    taken = re.escape(f"function id 'f' already registered: at {__file__}:{line}")
    with pytest.raises(ValueError, match=f"^{taken}$"):
        app.register_function("f", lambda data: data)
    with pytest.raises(ValueError, match=f"^{taken}$"):
        app.function("f")(print)
    other = iii.App("others")
    other.function("f")(print)
    with pytest.raises(ValueError, match=r"test_app\.py:\d+ and at .*test_app\.py:\d+$"):
        app.include(other)
    first.unregister()
    first.unregister()
    app.register_function("f", lambda data: data)


def test_a_name_and_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="the name of an app is empty: got ' '"):
        iii.App(" ")
    with pytest.raises(TypeError, match="the name of an app must be str, got NoneType"):
        iii.App(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="replicas must be 'round_robin' or 'least_busy', got 'random'"):
        iii.App("a", replicas="random")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"options must be an InitOptions, such as iii\.InitOptions\(.*\), got dict"):
        iii.App("a", replicas="round_robin", options={"worker_name": "mine"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="replicas of app 'a' is given twice"):
        iii.App("a", replicas="round_robin", options=iii.InitOptions(replicas="least_busy"))


def test_11_check_4_each_process_has_its_own_name_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("III_WORKER_NAME", raising=False)
    named = {iii.App("orders").worker_options().name_of_a_worker() for _ in range(9)}
    assert len(named) == 9
    assert all(re.fullmatch("orders-[a-z0-9]{4}", each) for each in named)
    mine = iii.App("orders", options=iii.InitOptions(worker_name="mine"))
    assert mine.worker_options().name_of_a_worker() == "mine"
    monkeypatch.setenv("III_WORKER_NAME", "theirs")
    assert iii.App("orders").worker_options().name_of_a_worker() == "theirs"


# -- several apps -----------------------------------------------------------------------------------------------------


def test_11_check_5_what_cannot_be_included_is_refused(app: iii.App) -> None:
    users, mails = iii.App("users"), iii.App("mails")
    users.function("f")(lambda data: data)
    mails.function("f")(lambda data: data)
    app.include(users)
    users.include(iii.App("users.admin"))
    assert [each.name for each in app.members()] == ["users.admin", "users", "orders"]
    with pytest.raises(ValueError, match="apps 'orders' and 'mails' both declare function 'f'"):
        app.include(mails)
    with pytest.raises(ValueError, match="app 'users' cannot include app 'orders', which is it or includes it"):
        users.include(app)
    with pytest.raises(ValueError, match="cannot include app 'orders'"):
        app.include(app)
    with pytest.raises(ValueError, match="app 'x' has options"):
        app.include(iii.App("x", options=iii.InitOptions(namespace="n")))
    app.include(users)  # once is enough
    assert [each.name for each in app.members()] == ["users.admin", "users", "orders"]


# -- dependencies -----------------------------------------------------------------------------------------------------


def test_a_dependency_says_that_it_is_not_made_yet_and_takes_another_instead(app: iii.App) -> None:
    @app.dependency
    def pool() -> list[int]:
        """Of connections."""
        return [1]

    assert (repr(pool), pool.__doc__) == ("<Dependency 'pool' of app 'orders'>", "Of connections.")
    with pytest.raises(RuntimeError, match="dependency 'pool' exists while app 'orders' runs"):
        pool()
    with pool.override([7]):
        with pool.override([8]):
            assert pool() == [8]
        assert pool() == [7]
    with pytest.raises(RuntimeError, match="dependency 'pool' exists"):
        pool()


async def test_dependencies_of_every_make(app: iii.App) -> None:
    told: list[str] = []
    on_main: list[bool] = []
    main = threading.get_ident()

    @app.dependency
    def plain() -> str:
        on_main.append(threading.get_ident() == main)
        return "plain"

    @app.dependency
    async def asynchronous() -> str:
        on_main.append(threading.get_ident() == main)
        return "async"

    @app.dependency
    def generator() -> Any:
        yield "generator"
        told.append("generator closed")

    @app.dependency
    async def async_generator() -> Any:
        yield "async generator"
        told.append("async generator closed")

    for each in app.dependencies:
        async with made(each):
            told.append(each())
        with pytest.raises(RuntimeError, match="exists while"):
            each()
    assert on_main == [False, True]  # what is not async may block
    assert told == ["plain", "async", "generator", "generator closed", "async generator", "async generator closed"]


async def test_a_dependency_that_yields_nothing_is_named(app: iii.App) -> None:
    @app.dependency
    def empty() -> Any:
        yield from ()

    @app.dependency
    async def async_empty() -> Any:
        if threading.active_count() < 0:
            yield

    for each in app.dependencies:
        with pytest.raises(RuntimeError, match=f"dependency '{each.__name__}' of app 'orders' yields nothing"):
            async with made(each):
                pass


async def test_a_dependency_that_yields_twice_is_named_at_its_end(app: iii.App) -> None:
    @app.dependency
    def twice() -> Any:
        yield 1
        yield 2

    @app.dependency
    async def async_twice() -> Any:
        yield 1
        yield 2

    for each in app.dependencies:
        with pytest.raises(RuntimeError, match=f"dependency '{each.__name__}' of app 'orders' yields twice"):
            async with made(each):
                pass
