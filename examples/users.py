"""A worker on the web: a resource over HTTP, a stream of server-sent events, a job and a schedule. Try it:

curl -X POST http://127.0.0.1:3111/users -H 'content-type: application/json' -d '{"name": "Ada"}'
curl http://127.0.0.1:3111/users/1
curl -N 'http://127.0.0.1:3111/countdown?start=3'
iii queue list
iii cron list
"""

import asyncio
import itertools
from typing import Annotated

from msgspec import Meta, Struct

import iii


class NewUser(Struct):
    name: Annotated[str, Meta(min_length=1)]


class User(Struct):
    id: int
    name: str


worker = iii.register_worker()
users: dict[int, User] = {}
ids = itertools.count(1)


@worker.http("POST", "/users")
async def create(user: NewUser) -> iii.HttpResponse:
    """Add a user."""
    created = User(next(ids), user.name)
    users[created.id] = created
    job = iii.TriggerAction.Enqueue(queue="default")  # on disk before the client hears of its user
    await worker.trigger_async({"function_id": "users::welcome", "payload": created, "action": job})
    return iii.HttpResponse(201, created, {"location": f"/users/{created.id}"})


@worker.function("users::welcome")
async def welcome(user: User) -> None:
    """A job: it is repeated until it succeeds, and after three failures `iii queue dlq default` shows it."""
    print(f"Welcome, {user.name}!", flush=True)


@worker.cron("0 6 * * *", timezone="Europe/Berlin")
async def count(event: dict[str, str]) -> None:
    """Each morning."""
    print(f"{len(users)} users at {event['scheduled_time']}", flush=True)


@worker.http("GET", "/users/:id")
async def get(id: int) -> User | iii.HttpResponse:
    """One user."""
    return users.get(id) or iii.HttpResponse(404, {"error": {"code": "no_such_user", "message": f"no user {id}"}})


@worker.http("GET", "/users")
async def find(name: str | None = None, limit: Annotated[int, Meta(ge=1, le=100)] = 20) -> list[User]:
    """All users, or those of a name."""
    return [user for user in users.values() if name in (None, user.name)][:limit]


@worker.http("GET", "/countdown")
async def countdown(response: iii.StreamResponse, start: int = 10) -> None:
    """One event each second."""
    for number in range(start, -1, -1):
        await response.send_event({"left": number}, event="tick")
        if number:
            await asyncio.sleep(1)
