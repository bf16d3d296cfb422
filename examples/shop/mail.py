"""Mail: sends confirmations, as jobs, and a warning when too many orders wait for theirs."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

import iii

OUTBOX = Path(os.environ.get("SHOP_OUTBOX", "outbox"))

app = iii.App("mail", replicas="least_busy")


class Confirmation(Struct):
    order_id: str
    to: str
    text: str


class Mailer:
    """Stands for a mail server; a second mail with the same key is the same mail. No mail reaches `.invalid`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def send(self, key: str, to: str, text: str) -> None:
        if to.endswith(".invalid"):
            raise ValueError(f"550 no mail server for {to}")
        (self._folder / f"{key}.txt").write_text(f"To: {to}\n\n{text}\n")


@app.dependency
def mailer() -> Iterator[Mailer]:
    """Made once, when the app starts."""
    yield Mailer(OUTBOX)


@app.function("mail::confirm")
async def confirm(confirmation: Confirmation) -> None:
    """A job. It may run twice, if this process dies in the middle: the key makes one mail of both."""
    mailer().send(confirmation.order_id, confirmation.to, confirmation.text)
    await app.trigger_async({"function_id": "orders::confirmed", "payload": {"order_id": confirmation.order_id}})


@app.subscribe("orders.counted")
async def warn(counted: dict[str, Any]) -> None:
    """Once a day."""
    if counted["waiting"] > 10:
        mailer().send("warning", "shop@example.com", f"{counted['waiting']} orders wait for their confirmation")


if __name__ == "__main__":
    app.run()
