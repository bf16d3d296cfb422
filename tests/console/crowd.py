"""Many workers with ten functions each, in one process: `python -m tests.console.crowd URL COUNT`.

It says `here` when all are registered; each line on its stdin is a number of workers that leave, which it says again.
"""

import asyncio
import sys

import aiohttp

FUNCTIONS = 10
AT_ONCE = 50


async def join(session: aiohttp.ClientSession, url: str, number: int) -> aiohttp.ClientWebSocketResponse:
    """A worker, once the engine has taken all that it registered."""
    socket = await session.ws_connect(url)
    name = f"crowd-{number:04}"
    told = {"name": name, "runtime": "python", "version": f"1.0.{number % 7}", "os": "linux", "pid": 100_000 + number}
    call = {"type": "invokefunction", "function_id": "engine::workers::register", "data": told}
    await socket.send_json({**call, "action": {"type": "void"}})
    for function in range(FUNCTIONS):
        await socket.send_json({"type": "registerfunction", "id": f"{name}::function-{function}"})
    await socket.send_json({"type": "ping"})
    while (await socket.receive_json())["type"] != "pong":
        pass
    return socket


async def listen(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Pings are answered only while somebody reads; who is silent for a minute is disconnected."""
    async for _ in socket:
        pass


async def main(url: str, count: int) -> None:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        asyncio.TaskGroup() as listening,
    ):
        sockets: list[aiohttp.ClientWebSocketResponse] = []
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            joined = await asyncio.gather(*[join(session, url, number) for number in numbers])
            sockets += joined
            for socket in joined:
                listening.create_task(listen(socket))
        print("here", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            left = [sockets.pop() for _ in range(int(line))]
            await asyncio.gather(*[socket.close() for socket in left])
            print(f"left {len(left)}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
