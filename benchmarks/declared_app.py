"""A program's module as `benchmarks/footprint.py` imports it: an app with 50 functions of all kinds, and no engine."""

from dataclasses import dataclass

import msgspec

import iii

app = iii.App("orders")


class Order(msgspec.Struct):
    id: int
    name: str


@dataclass
class Note:
    text: str
    author: str = ""


def declare(number: int) -> None:
    """Ten functions."""

    @app.function(f"orders::place-{number}")
    async def place(order: Order) -> Order:
        """Place an order."""
        return order

    @app.function(f"orders::note-{number}")
    def note(note: Note) -> dict[str, str]:
        return {"text": note.text}

    @app.function(f"orders::plain-{number}")
    def plain(data):  # type: ignore[no-untyped-def] # as in scripts
        return data

    @app.http("GET", f"/{number}/orders/:id")
    async def show(id: int, limit: int = 10) -> Order:
        return Order(id, str(limit))

    @app.http("POST", f"/{number}/orders")
    async def post(order: Order) -> Order:
        return order

    @app.cron(f"*/{number + 2} * * * *", function_id=f"orders::clean-{number}")
    def clean() -> None: ...

    @app.on_queue(f"mails-{number}", function_id=f"orders::mail-{number}")
    def mail(order: Order) -> None: ...

    @app.subscribe(f"news-{number}", function_id=f"orders::news-{number}")
    def news(data: dict[str, str]) -> None: ...

    @app.on_state(f"orders-{number}", function_id=f"orders::state-{number}")
    def changed(event: iii.StateEvent) -> None: ...

    @app.on_stream(f"chat-{number}", function_id=f"orders::chat-{number}")
    def said(event: iii.StreamEvent) -> None: ...


for number in range(5):
    declare(number)
