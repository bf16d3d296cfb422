"""A worker of our SDK with a route that streams a gibibyte down and one that takes an upload. Says `{"ready": true}`."""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
import iii

PIECE = bytes(1 << 20)


async def main(port: int) -> None:
    options = iii.InitOptions(worker_name="streams", otel={"enabled": False})
    async with iii.connect_worker(f"ws://127.0.0.1:{port}", options) as worker:

        @worker.http("GET", "/down")
        async def down(response: iii.StreamResponse, pieces: int) -> None:
            await response.start(headers={"content-type": "application/octet-stream"})
            for _ in range(pieces):
                await response.write(PIECE)

        @worker.http("POST", "/up")
        async def up(request: iii.HttpRequest) -> int:
            size = 0
            async for piece in request.request_body:
                size += len(piece)
            return size

        await worker.list_triggers_async()  # both are bound
        print('{"ready": true}', flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
