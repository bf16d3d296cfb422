"""Who may use a console that asks for a login, and what they may do (20 §2, 23 §3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from iii.protocol.access_token import hash_of
from tests.integration.console.consoles import Browser, LoopThread, Place, configured, logged
from tests.processes import EngineProcess, free_port

OBSERVER, OPERATOR, ADMIN = (
    "observer-token-of-this-test-1",
    "operator-token-of-this-test-1",
    "admin-token-of-this-test-12345",
)
_TOKENS = ", ".join(
    f"{{name: {name}, hash: '{hash_of(token)}', allow: [{name}]}}"
    for name, token in (("observer", OBSERVER), ("operator", OPERATOR), ("admin", ADMIN))
)
RBAC = f"rbac: {{tokens: [{_TOKENS}]}}"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Place]:
    console, http, stream = free_port(), free_port(), free_port()
    with EngineProcess(config=configured(console, http, stream, f"host: 0.0.0.0, {RBAC}")) as engine:
        worker = LoopThread(engine.url)
        yield Place(engine, f"http://127.0.0.1:{console}", http, stream)
        worker.close()


@pytest.fixture
async def stranger(guarded: Place) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(guarded.console, session)


async def test_without_a_login_nothing_is_told(stranger: Browser) -> None:
    session = (await stranger.get("/api/v1/session")).body

    assert (session["login_required"], session["logged_in"], session["csrf"]) == (True, False, None)
    assert session["engine"]["url"] == ""
    for path in ("/api/v1/workers", "/api/engine/_console/workers", "/api/v1/functions", "/ws/live"):
        answer = await stranger.get(path)
        assert (answer.status, answer.body["code"]) == (401, "LOGIN_REQUIRED"), path
    assert (await stranger.post("/api/v1/call", {"function_id": "math::add"})).status == 401


async def test_a_wrong_token_is_refused(stranger: Browser, guarded: Place) -> None:
    wrong = "nobody-has-this-token-at-all-12"

    answer = await stranger.login(wrong)

    assert (answer.status, answer.body["error"]) == (401, "the token is unknown")
    assert "Set-Cookie" not in answer.headers
    assert await logged(guarded.engine, "access.denied")
    assert wrong not in guarded.engine.log()


async def test_a_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(stranger: Browser) -> None:
    answer = await stranger.login(OBSERVER)

    assert (answer.status, answer.body["who"], answer.body["logged_in"]) == (200, "observer", True)
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert OBSERVER not in cookie
    assert (await stranger.get("/api/v1/workers")).status == 200


async def test_a_change_needs_what_only_own_pages_know(stranger: Browser) -> None:
    await stranger.login(ADMIN)
    stranger.csrf = None

    answer = await stranger.post("/api/v1/call", {"function_id": "math::add", "payload": {"a": 1, "b": 1}})
    wrong = await stranger.post("/api/v1/call", {"function_id": "math::add"}, **{"X-CSRF-Token": "x"})
    left = await stranger.post("/api/v1/logout")

    assert (answer.status, answer.body["code"]) == (403, "BAD_CSRF_TOKEN")
    assert (wrong.status, left.status) == (403, 403)


async def test_an_observer_sees_everything_and_does_nothing(stranger: Browser) -> None:
    """By hand-made requests neither: it is the engine that refuses them."""
    session = (await stranger.login(OBSERVER)).body

    rows = (await stranger.get("/api/v1/functions?q=math::add")).body["rows"]
    called = await stranger.call("math::add", {"a": 1, "b": 2})
    invoked = await stranger.post("/api/engine/_console/invoke", {"function_id": "math::add", "input": {}})
    stored = await stranger.post("/api/engine/_console/states/s/item", {"key": "k", "value": 1})
    redriven = await stranger.post("/api/engine/_console/dlq/work/redrive")
    cleared = await stranger.post("/api/engine/_console/otel/logs/clear")
    edited = await stranger.call("queue::redrive_edited", {"queue": "work", "message_id": "m", "payload": 1})
    jobs = await stranger.post("/api/v1/ask", {"function_id": "engine::queue::jobs", "payload": {"queue": "work"}})

    assert [row["function_id"] for row in rows] == ["math::add"]
    assert called["ok"] is False
    assert called["error"]["code"] == "FORBIDDEN"
    assert edited["error"]["code"] == "FORBIDDEN"
    assert (jobs.status, jobs.body["jobs"]) == (200, [])
    assert [each.status for each in (invoked, stored, redriven, cleared)] == [403, 403, 403, 403]
    assert {"state::set", "iii::queue::redrive", "engine::workers::drain"} <= set(session["refused"])
    assert session["may_proxy"] is False


async def test_roles_decide_what_is_done(stranger: Browser) -> None:
    operator = (await stranger.login(OPERATOR)).body
    assert "iii::queue::redrive" not in operator["refused"]
    assert {"state::set", "queue::redrive_edited"} <= set(operator["refused"])
    assert (await stranger.call("iii::queue::redrive", {"queue": "work"}))["ok"]

    admin = (await stranger.login(ADMIN)).body
    assert admin["refused"] == []
    assert (await stranger.call("math::add", {"a": 1, "b": 2}))["result"] == 3


async def test_actions_are_in_the_log_with_who_and_from_where(stranger: Browser, guarded: Place) -> None:
    await stranger.login(ADMIN)

    await stranger.call("state::set", {"scope": "audited", "key": "k", "value": "a-secret-value"})

    log = await logged(guarded.engine, "scope=audited key=k")
    assert "console.action" in log
    assert "a-secret-value" not in log
    assert ADMIN not in log


async def test_23_3_an_admin_sees_logins_and_ends_them(stranger: Browser, guarded: Place) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as jar:
        observer = Browser(guarded.console, jar)
        await observer.login(OBSERVER)
        assert (await observer.get("/api/v1/logins")).status == 403
        assert (await observer.post("/api/v1/logins/end", {"id": "x"})).status == 403
        assert (await stranger.login(ADMIN)).body["engine"]["url"].startswith("ws://")
        async with observer.live() as live:
            await live.message("hello")
            rows = (await stranger.get("/api/v1/logins?sort=who&q=observer")).body["rows"]
            own = (await stranger.get("/api/v1/logins?q=admin")).body["rows"]
            (shown,) = [row for row in rows if row["pages"]]
            answer = await stranger.post("/api/v1/logins/end", {"id": shown["id"]})
            closed = await live.socket.receive(timeout=60)
        again = await stranger.post("/api/v1/logins/end", {"id": shown["id"]})
        bad = await stranger.post("/api/v1/logins/end", {})

        assert (shown["who"], shown["address"], shown["roles"], shown["own"]) == (
            "observer", "127.0.0.1", ["observer"], False,
        )  # fmt: skip
        assert shown["since_ms"] <= shown["seen_ms"]
        assert [row["own"] for row in own].count(True) == 1
        assert (answer.status, answer.body, closed.data) == (200, {"ended": True}, 4401)
        assert (again.status, again.body["code"], bad.status) == (404, "UNKNOWN_LOGIN", 400)
        assert (await observer.get("/api/v1/workers")).status == 401
    assert "console.action" in await logged(guarded.engine, "observer from 127.0.0.1")


async def test_after_the_logout_the_session_is_worth_nothing(stranger: Browser) -> None:
    await stranger.login(ADMIN)
    async with stranger.live() as live:
        await live.message("hello")
        answer = await stranger.post("/api/v1/logout")
        closed = await live.socket.receive(timeout=60)

    assert answer.status == 200
    assert closed.data == 4401
    assert (await stranger.get("/api/v1/workers")).status == 401


async def test_what_is_pushed_is_what_the_visitor_may_see(stranger: Browser) -> None:
    await stranger.login(OBSERVER)
    async with stranger.live() as live:
        await live.follow(1, "workers")
        await live.message("reset", 1)

    assert "shop" in {row["name"] for row in live.rows[1].values()}


async def test_a_page_of_another_site_gets_no_socket(stranger: Browser) -> None:
    await stranger.login(ADMIN)
    for origin in ("http://evil.example", None):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stranger.session.ws_connect(f"{stranger.base}/ws/live", origin=origin)
        assert refused.value.status == 403


async def test_after_the_logout_no_stream_goes_on(stranger: Browser) -> None:
    await stranger.login(ADMIN)
    async with stranger.session.ws_connect(f"{stranger.base}/ws/streams", origin=stranger.base) as socket:
        await stranger.post("/api/v1/logout")
        closed = await socket.receive(timeout=60)

    assert closed.data == 4401


async def test_logins_by_an_auth_function_share_nothing_that_is_pushed() -> None:
    """Its results may differ in what they allow, and in nothing else."""
    console, http, stream = free_port(), free_port(), free_port()
    asked = "rbac: {auth_function_id: 'auth::who'}"
    with EngineProcess(config=configured(console, http, stream, asked)) as engine:
        worker = LoopThread(engine.url)
        worker.worker.register_function("auth::who", _who)
        worker.worker.list_functions()
        base = f"http://127.0.0.1:{console}"
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as one,
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as other,
        ):
            mighty, small = Browser(base, one), Browser(base, other)
            await mighty.login("mighty")
            await small.login("small")
            async with mighty.live() as theirs, small.live() as live:
                await theirs.follow(1, "workers")
                await theirs.message("reset", 1)
                await live.follow(1, "workers")
                refused = await live.message("error", 1)
        worker.close()

    assert refused["code"] == "FORBIDDEN"
    assert 1 not in live.rows


def _who(asked: dict[str, Any]) -> dict[str, Any]:
    mighty = asked["headers"]["authorization"] == "Bearer mighty"
    return {"allowed_functions": ["*" if mighty else "engine::health::check"]}
