"""All routes of the console (23 §2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from iii.console.application import Deskwork, json_body
from iii.console.backend.all_routes import BACKEND
from iii.console.backend.question import ConsoleQuestion, members_of
from iii.console.lists.flow import flow
from iii.console.lists.functions import function, functions
from iii.console.lists.job import job
from iii.console.lists.overview import access, config, events, overview
from iii.console.lists.paging import page_query
from iii.console.lists.queues import dead_letters, queue, queues
from iii.console.lists.redriving import handle_letters
from iii.console.lists.state import entries, entry, scopes
from iii.console.lists.triggers import schedules, triggers
from iii.console.lists.workers import worker, workers
from iii.console.refusal import Refusal

if TYPE_CHECKING:
    from iii.console.application import Reception
    from iii.console.backend.route import BackendRoute
    from iii.console.desk import Desk

LISTS: Mapping[str, Callable[[Desk, Mapping[str, str]], Awaitable[Any]]] = {
    "workers": workers,
    "worker": worker,
    "functions": functions,
    "function": function,
    "triggers": triggers,
    "schedules": schedules,
    "queues": queues,
    "queue": queue,
    "dead": dead_letters,
    "job": job,
    "state": scopes,
    "state/entries": entries,
    "state/entry": entry,
    "flow": flow,
    "overview": overview,
    "events": events,
    "access": access,
    "config": config,
}


def backend_routes(reception: Reception) -> list[web.RouteDef]:
    """`/api/engine/_console/*`."""
    return [
        web.route(route.method, f"/api/engine/_console/{_in_braces(route.path)}", reception.at_desk(_answering(route)))
        for route in BACKEND
    ]


def list_routes(reception: Reception) -> list[web.RouteDef]:
    """`/api/v1/NAME`, which take everything from the query."""
    return [web.get(f"/api/v1/{name}", reception.at_desk(_listing(make))) for name, make in LISTS.items()]


def letter_routes(reception: Reception) -> list[web.RouteDef]:
    """`/api/v1/dead/handle`."""

    async def work(desk: Desk, request: web.Request) -> Any:
        return await handle_letters(desk, await json_body(request))

    return [web.post("/api/v1/dead/handle", reception.at_desk(work))]


def action_routes(reception: Reception) -> list[web.RouteDef]:
    """`/api/v1/actions`: for those who may read them in the log."""

    async def work(desk: Desk, request: web.Request) -> Any:
        if desk.door.refused(["engine::logs::list"]):
            raise Refusal(403, "function 'engine::logs::list' not allowed", "FORBIDDEN")
        return page_query(request.query).page(list(reception.audit.rows)[::-1])

    return [web.get("/api/v1/actions", reception.at_desk(work))]


def _in_braces(path: str) -> str:
    return "/".join(f"{{{part[1:]}}}" if part.startswith(":") else part for part in path.split("/"))


def _answering(route: BackendRoute) -> Deskwork:
    async def work(desk: Desk, request: web.Request) -> Any:
        body = await json_body(request)
        question = ConsoleQuestion(dict(request.match_info), dict(request.query), members_of(body), body or b"{}")
        return await route.answer(desk, question)

    return work


def _listing(make: Callable[[Desk, Mapping[str, str]], Awaitable[Any]]) -> Deskwork:
    async def work(desk: Desk, request: web.Request) -> Any:
        return await make(desk, request.query)

    return work
