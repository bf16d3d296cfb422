"""Traffic: customers who order, a bank that refuses now and then, a slow report. `make demo` runs it beside the shop."""

import asyncio
import contextlib
import itertools
import os
import random
import urllib.request
from collections import deque
from pathlib import Path
from typing import Any

from msgspec import Struct, json

import iii

SHOP_URL = os.environ.get("SHOP_URL", "http://127.0.0.1:3111")
OUTBOX = Path(os.environ.get("SHOP_OUTBOX", "outbox"))
PAUSE_S = 0.4
PATIENCE_S = 30.0
KEPT = 200  # orders; older ones are deleted, so that this can run for days
ARTICLES = ["pen", "notebook", "lamp", "chair", "desk"]
CUSTOMERS = ["ada@example.com", "grace@example.com", "linus@example.com"]
TYPO = "edsger@example.invalid"  # the mail of whoever orders with it dies

app = iii.App("back-office")
log = iii.Logger(service_name="back-office")
kept: deque[str] = deque()


class Basket(Struct):
    article: str
    mail_to: str
    pieces: int


class Payment(Struct):
    order_id: str
    cents: int


@app.function("billing::charge")
async def charge(payment: Payment) -> dict[str, Any]:
    """Charge a customer's card; the bank refuses more than 400 €."""
    await asyncio.sleep(random.uniform(0.005, 0.03))
    if payment.cents > 40_000:
        raise iii.InvocationError("CARD_REFUSED", f"the bank refused {payment.cents / 100:.2f} €")
    log.info("charged", {"order_id": payment.order_id, "cents": payment.cents})
    return {"receipt": f"r-{payment.order_id[:8]}"}


@app.function("reports::sales")
async def sales() -> dict[str, int]:
    """Pieces sold of each article; slow, because it reads every order."""
    orders = await app.state("orders").values_async()
    await asyncio.sleep(random.uniform(0.3, 0.9))
    sold: dict[str, int] = {}
    for order in orders:
        sold[order["article"]] = sold.get(order["article"], 0) + order["pieces"]
    await app.state("reports").set_async("sales", sold)
    return sold


@app.cron("0 * * * * *")
async def report(event: dict[str, Any]) -> None:
    """Count what was sold, once a minute."""
    log.info("reported", await app.trigger_async({"function_id": "reports::sales", "payload": {}}))


async def forget(order_id: str) -> None:
    await app.state("orders").delete_async(order_id)
    await app.stream("orders", "all").delete_async(order_id)
    (OUTBOX / f"{order_id}.txt").unlink(missing_ok=True)


def posted(basket: Basket) -> Any:
    request = urllib.request.Request(
        f"{SHOP_URL}/orders", json.encode(basket), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.decode(answer.read())


@app.function("checkout::buy")
async def buy(basket: Basket) -> dict[str, Any]:
    """Place an order in the shop, and charge the customer."""
    placed = await asyncio.to_thread(posted, basket)
    kept.append(placed["id"])
    if len(kept) > KEPT:
        await forget(kept.popleft())
    payment = {"order_id": placed["id"], "cents": basket.pieces * random.randint(100, 6000)}
    receipt = await app.trigger_async({"function_id": "billing::charge", "payload": payment})
    return {"order_id": placed["id"], **receipt}


async def visit(number: int) -> None:
    """One customer. What fails is for the console to show: the next customer comes anyway."""
    order = {
        "article": random.choice(ARTICLES),
        "mail_to": TYPO if number % 40 == 5 else random.choice(CUSTOMERS),
        "pieces": 0 if number % 31 == 30 else random.randint(1, 9),  # an order of nothing is refused
    }
    with contextlib.suppress(TimeoutError, iii.InvocationError, ConnectionError):
        await app.trigger_async({"function_id": "checkout::buy", "payload": order})
        if number % 40 == 10:
            await app.trigger_async({"function_id": "reports::sales", "payload": {}})


def is_open() -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(SHOP_URL, timeout=PATIENCE_S):
        return True
    return False


async def until_open() -> None:
    while True:
        if await asyncio.to_thread(is_open):
            return
        await asyncio.sleep(PAUSE_S)


async def main() -> None:
    async with app.connect():
        await until_open()  # the first customers find a shop
        for number in itertools.count():
            await visit(number)
            await asyncio.sleep(random.uniform(0.5, 1.5) * PAUSE_S)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
