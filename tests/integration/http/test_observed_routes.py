"""Routes of clients without triggers, beside those of clients with them (26 §2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from iii.modules.pubsub.module import PubSub
from iii.modules.state.module import State
from tests.integration.http.newest_client import Frame, NewestClient
from tests.integration.http.site import Site
from tests.integration.server.waiting import until

Connect = Callable[[str], Awaitable[NewestClient]]
ACTIVE = {"type": "observeresult", "state": "active"}


def answering(text: str, status: int = 200) -> Callable[[Frame], Frame]:
    """A target that says who it is."""
    return lambda call: {"result": {"status_code": status, "body": {"by": text, "path": call["data"]["path_params"]}}}


def route(path: str, method: str = "GET", **more: Any) -> Frame:
    return {"function_id": "http::on-request", "args": {"method": method, "path": path}, **more}


@pytest_asyncio.fixture
async def connect(site: Site) -> AsyncIterator[Connect]:
    clients: list[NewestClient] = []

    async def connect(name: str) -> NewestClient:
        clients.append(await NewestClient.connected(site.browser, site.listener.port, name))
        return clients[-1]

    yield connect
    for client in clients:
        await client.leave()


async def bound(request: Any) -> Any:
    return {"status_code": 200, "body": {"by": "trigger", "path": request["path_params"]}}


async def test_26_check_4_the_target_answers_the_request(site: Site, connect: Connect) -> None:
    client = await connect("web")
    seen: list[Frame] = []

    def create(call: Frame) -> Frame:
        seen.append(call)
        return {"result": {"status_code": 201, "headers": {"x-made": "yes"}, "body": {"got": call["data"]["body"]}}}

    await client.serve("users::create", create)
    before: list[str] = []

    async def middleware(request: Any) -> Any:
        before.append(request["request"]["method"])
        return {"action": "continue"}

    await site.function("mw", middleware)
    source = route("/users/:id", "post")
    source["args"]["middleware_function_ids"] = ["mw"]
    decided = await client.observe("r1", source, "users::create", metadata={"m": 1})
    assert decided == ACTIVE | {"id": "r1"}
    status, headers, body = await site.ask("/users/7?q=x", "POST", json={"name": "Ada"})
    assert (status, headers["x-made"], body) == (201, "yes", {"got": {"name": "Ada"}})
    (call,) = seen
    assert before == ["POST"]
    assert (call["data"]["path_params"], call["data"]["query_params"]) == ({"id": "7"}, {"q": "x"})
    assert (call["metadata"], call["activation"]["observer_id"], call["observe_depth"]) == ({"m": 1}, "r1", 1)


async def test_26_check_1_routes_of_both_kinds_share_the_table(site: Site, connect: Connect) -> None:
    client = await connect("web")
    await client.serve("observed", answering("observer"))
    await site.route("GET /bound/:id", bound)
    assert await client.observe("r1", route("/observed/:id"), "observed") == ACTIVE | {"id": "r1"}
    assert await site.get("/bound/1") == (200, {"by": "trigger", "path": {"id": "1"}})
    assert await site.get("/observed/2") == (200, {"by": "observer", "path": {"id": "2"}})

    for path in ("/bound/:name", "/observed/:name"):
        refused = await client.observe("r2", route(path), "observed")
        assert (refused["state"], refused["error"]["code"]) == ("error", "HTTP_ROUTE_CONFLICT")
        assert "conflicts with already-registered route" in refused["error"]["message"]
    await site.route("GET /observed/:name", bound)  # refused, as its worker is told
    assert await site.get("/observed/2") == (200, {"by": "observer", "path": {"id": "2"}})
    assert (await client.observe("r2", route("/third"), "observed"))["state"] == "active"  # the id is free


async def test_26_check_1_of_one_method_and_path_the_newest_serves(site: Site, connect: Connect) -> None:
    client = await connect("web")
    await client.serve("observed", answering("observer"))
    trigger = await site.route("GET /a", bound)
    await client.observe("r1", route("/a"), "observed")
    assert (await site.get("/a"))[1]["by"] == "observer"
    newest = await site.route("GET /a", bound)
    assert (await site.get("/a"))[1]["by"] == "trigger"
    newest.unregister()
    await site.settled()
    assert (await site.get("/a"))[1]["by"] == "observer"
    await client.say("unobserve", id="r1")
    await client.frame("observerstatechanged", id="r1", state="disposed")
    assert (await site.get("/a"))[1]["by"] == "trigger"
    trigger.unregister()
    await site.settled()
    assert (await site.get("/a"))[0] == 404


async def test_26_check_2_a_restarted_worker_serves_at_once_under_new_ids(site: Site, connect: Connect) -> None:
    first = await connect("web")
    await first.serve("observed", answering("first"))
    await first.observe("old", route("/a"), "observed")
    assert (await site.get("/a"))[1]["by"] == "first"
    await first.leave()
    await until(lambda: site.engine.observers.store.get("old").state == "suspended")  # type: ignore[union-attr]
    assert (await site.get("/a"))[0] in (500, 503)

    second = await connect("web again")
    await second.serve("observed", answering("second"))
    assert (await second.observe("new", route("/a"), "observed"))["state"] == "active"
    assert (await site.get("/a"))[1]["by"] == "second"

    third = await connect("web a third time")  # takes the suspended one over
    await third.serve("third", answering("third"))
    assert (await third.observe("old", route("/a"), "third"))["state"] == "active"
    await second.say("unobserve", id="new")
    await second.frame("observerstatechanged", id="new", state="disposed")
    assert (await site.get("/a"))[1]["by"] == "third"


async def test_26_check_2_a_route_whose_target_is_away_gives_way(site: Site, connect: Connect) -> None:
    client = await connect("web")
    await client.serve("observed", answering("observer"))
    await site.route("GET /a", bound)
    await client.observe("r1", route("/a"), "observed")
    assert (await site.get("/a"))[1]["by"] == "observer"
    await client.say("unregisterfunction", id="observed")
    await client.frame("observerstatechanged", id="r1", state="suspended")
    assert (await site.get("/a"))[1]["by"] == "trigger"
    await client.serve("observed", answering("observer again"))
    await client.frame("observerstatechanged", id="r1", state="active")
    assert (await site.get("/a"))[1]["by"] == "observer again"


async def test_26_check_3_filters_limits_and_the_end(site: Site, connect: Connect) -> None:
    client = await connect("web")
    release = asyncio.Event()
    await client.serve("observed", answering("observer"))
    filters = {"input.query_params.key": {"$eq": "yes"}}
    await client.observe("r1", route("/a", filters=filters), "observed")
    assert await site.get("/a") == (422, {"error": "Request filtered"})
    assert (await site.get("/a?key=yes"))[0] == 200

    async def slow(request: Any) -> Any:
        await release.wait()
        return {"status_code": 200, "body": 1}

    await site.function("slow", slow)
    assert (await client.observe("r2", route("/slow"), "slow", max_in_flight=1))["state"] == "active"
    first = asyncio.create_task(site.get("/slow"))
    observer = site.engine.observers.store.get("r2")
    assert observer is not None
    await until(lambda: len(observer.running) == 1)
    status, headers, _ = await site.ask("/slow")
    assert (status, headers["retry-after"]) == (503, "1")
    release.set()
    assert await first == (200, 1)
    assert (await site.get("/slow"))[0] == 200

    await client.say("unobserve", id="r1")
    await client.frame("observerstatechanged", id="r1", state="disposed")
    assert (await site.get("/a?key=yes"))[0] == 404


@pytest.mark.parametrize("end", ["max_fires", "expires_in_ms"])
async def test_26_check_3_a_route_ends_with_its_observer(site: Site, connect: Connect, end: str) -> None:
    client = await connect("web")
    await client.serve("observed", answering("observer"))
    limits = {end: 1 if end == "max_fires" else 200}
    await client.observe("r1", route("/a"), "observed", **limits)
    if end == "max_fires":
        assert (await site.get("/a"))[0] == 200
    await client.frame("observerstatechanged", id="r1", state="disposed")
    assert (await site.get("/a"))[0] == 404


async def test_26_check_11_subscription_and_reaction_of_the_newest_client(site: Site, connect: Connect) -> None:
    pubsub, state = PubSub(site.engine), State(site.engine)
    client = await connect("reacting")
    seen: list[Frame] = []

    def react(call: Frame) -> Frame:
        seen.append(call)
        return {"result": None, "matched": []}

    await client.serve("react", react)
    decided = await client.observe("p", {"function_id": "publish", "filters": {"input.topic": {"$eq": "t"}}}, "react")
    assert decided["state"] == "pending"  # until the module runs
    await state.start()
    for module in (pubsub, state):
        site.engine.add_module(module)
    await client.frame("observerstatechanged", id="p", state="active")
    source = {"function_id": "state::on-changed", "filters": {"input.scope": {"$eq": "s"}}, "deliver": "input"}
    assert (await client.observe("s", source, "react", metadata={"m": 1}))["state"] == "active"
    for topic in ("t", "u"):
        await site.worker.trigger_async({"function_id": "publish", "payload": {"topic": topic, "data": topic}})
    for scope in ("s", "r"):
        await site.worker.state(scope).set_async("k", 1)
    await until(lambda: len(seen) == 2)
    published, changed = seen
    assert published["data"]["input"] == {"topic": "t", "data": "t"}
    assert published["data"]["output"] is None
    assert published["data"]["caller"]["worker_name"] == "worker 0"
    assert changed["data"] == {
        "type": "state", "event_type": "state:created", "scope": "s", "key": "k", "old_value": None, "new_value": 1,
    }  # fmt: skip
    assert changed["metadata"] == {"m": 1}
    assert changed["caller"] == {"worker_name": "iii-engine"} | {
        name: changed["caller"][name] for name in ("function_id", "invocation_id")
    }
    for module in (pubsub, state):
        site.engine.remove_module(module)
    await client.frame("observerstatechanged", id="s", state="pending")
    await state.stop()
