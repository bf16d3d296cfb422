"""A handler that answers from memory, on the HTTP library of our module or on aiohttp. Its only argument: `{library, port}`."""

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
BODY = b'{"message":"Hello"}'
HEADERS = [(b"content-type", b"application/json")]


async def granian(port: int) -> None:
    from iii.modules.http.client import Receive, Send
    from iii.modules.http.server import HttpServer

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})

    listening = socket.create_server(("127.0.0.1", port), backlog=1024)
    listening.setblocking(False)
    HttpServer(application, set, listening, 75_000, 10_000).start()


async def aiohttp(port: int) -> None:
    from aiohttp import web

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=BODY, content_type="application/json")

    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


async def main(library: str, port: int) -> None:
    await {"granian": granian, "aiohttp": aiohttp}[library](port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(**json.loads(sys.argv[1])))
