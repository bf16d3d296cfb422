"""A small shop with traffic, as a worker that the browser tests look at: `python -m tests.console.traffic URL [RATE]`.

A chain over three functions, one that fails, jobs of which some die, logs, state, a stream and a cron job.
"""

import asyncio
import contextlib
import random
import sys
from typing import Any

from msgspec import Struct

import iii

ATTACK = "<img src=x onerror=alert(1)>\u202egnp.exe\x1b[31m"


class NewOrder(Struct):
    """What a customer sends."""

    article: str
    pieces: int = 1
    express: bool = False


app = iii.App("shop")
log = iii.Logger(service_name="shop")


@app.function("orders::place")
async def place(new: NewOrder) -> dict[str, Any]:
    """Place an order: price, charge, mail."""
    price = await app.trigger_async({"function_id": "prices::of", "payload": {"article": new.article}})
    charged = await app.trigger_async({"function_id": "billing::charge", "payload": {"amount": price * new.pieces}})
    order = {"id": f"o-{random.randrange(10**6)}", "article": new.article, "charged": charged}
    await app.state("orders").set_async(order["id"][:4], order)
    await app.stream("orders", "all").set_async("latest", order)
    return order


@app.function("prices::of")
async def price_of(article: dict[str, str]) -> float:
    """The price of an article."""
    await asyncio.sleep(0.004)
    return 9.5


@app.function("billing::charge")
async def charge(payment: dict[str, float]) -> str:
    """Charge the customer."""
    await asyncio.sleep(0.012)
    log.info("charged", {"amount": payment["amount"]})
    return "paid"


@app.function("billing::refund")
async def refund(payment: dict[str, Any]) -> str:
    """Refund a customer; it always fails."""
    log.warn("refund refused", {"amount": payment.get("amount")})
    raise ValueError("the bank refused the refund")


@app.function("reports::slow")
async def slow(_: dict[str, Any]) -> str:
    """A report that takes a quarter of a second."""
    await asyncio.sleep(0.25)
    return "done"


@app.function("attack::text", description=ATTACK)
async def attack(payload: dict[str, Any]) -> dict[str, Any]:
    log.error(ATTACK, {ATTACK: ATTACK})
    return {"html": ATTACK, "long": "x" * payload.get("length", 10)}


@app.http("GET", "/users/:id")
async def user(id: str) -> dict[str, str]:
    """One user."""
    return {"user": id}


@app.cron("0 0 6 * * *")
async def count(event: dict[str, Any]) -> str:
    """Count the orders, every morning at six."""
    log.info("counted")
    return "counted"


@app.on_queue("mails")
async def mail(data: dict[str, Any]) -> None:
    """Send a mail; those without an address die."""
    if not data.get("to"):
        raise ValueError("no address")


@app.subscribe("orders.counted")
async def counted(data: Any) -> None:
    """Hear that the orders were counted."""
    log.info("heard", {"data": str(data)})


async def sent(function_id: str, **payload: Any) -> None:
    """A call whose failure ends nothing: refunds fail, and the engine may be away."""
    with contextlib.suppress(iii.InvocationError, ConnectionError):
        await app.trigger_async({"function_id": function_id, "payload": payload, "timeout_ms": 5000})


async def customers(rate: float) -> None:
    """Orders, a refund now and then, and mails of which some have no address."""
    number = 0
    while True:
        number += 1
        await sent("orders::place", article=f"article {number % 7}")
        if number % 9 == 0:
            await sent("billing::refund", amount=number)
            await sent("reports::slow")
            await sent("iii::durable::publish", topic="mails", data={"number": number})
        await asyncio.sleep(1 / rate)


async def main(address: str, rate: float) -> None:
    async with app.connect(address):
        await customers(rate)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 5.0))
