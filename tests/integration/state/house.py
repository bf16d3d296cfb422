"""An engine with state, and who calls it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import iii
from iii.modules.state.module import State
from iii.storage.adapter import AdapterConfig
from tests.integration.own_engine import OwnEngine
from tests.integration.server.raw_socket import RawSocket

Handler = Callable[[Any], Any]


class House(OwnEngine[State]):
    """One engine and whoever talks to it."""

    async def on(self, handler: Handler, worker: iii.Worker | None = None, **config: Any) -> str:
        """Bind a handler to changes of state; its function's id."""
        worker = worker or self.worker
        function_id = self.handled_by(handler, worker)
        worker.register_trigger({"type": "state", "function_id": function_id, "config": config})
        await self.settled(worker)
        return function_id

    async def raw(self) -> RawSocket:
        return await RawSocket.greeted(self.listener.port)


Open = Callable[..., Awaitable[House]]


async def answer(client: RawSocket, function_id: str, data: Any) -> dict[str, Any]:
    """The whole `invocationresult`."""
    call_id = "0b0f9c1e-1111-4111-8111-111111111111"
    client.say(
        json.dumps({"type": "invokefunction", "invocation_id": call_id, "function_id": function_id, "data": data})
    )
    while (message := await client.json())["type"] != "invocationresult":
        pass
    return message


def adapter(kind: str, folder: Path) -> AdapterConfig:
    """`memory` or `sqlite`."""
    method = "in_memory" if kind == "memory" else "file_based"
    return AdapterConfig(name="kv", config={"store_method": method, "file_path": str(folder)})
