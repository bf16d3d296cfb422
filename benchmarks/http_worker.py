"""A raw-protocol worker behind a route: answers every call with the same small JSON response. Says `{"ready": true}`."""

import asyncio
import json
import sys
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
from benchmarks.load import Worker, fail
from benchmarks.wire import _ANSWER_HEAD, _ID_BYTES, WebSocketWire, call_id, masked_frame

RESULT = b'{"status_code":200,"body":{"message":"Hello"}}'
FUNCTION = "bench::hello"
PATH = "/hello"


class HttpWire(WebSocketWire):
    """Binds its function to a route, and answers as an HTTP handler does."""

    def introduction(self, function: str | None) -> bytes:
        trigger = {
            "type": "registertrigger", "id": "bench", "trigger_type": "http", "function_id": FUNCTION,
            "config": {"api_path": PATH, "http_method": "GET"},
        }  # fmt: skip
        return masked_frame(json.dumps(trigger).encode()) + super().introduction(function)

    def _answer_parts(self, function: str) -> tuple[bytes, bytes]:
        message = b'%s%s","function_id":"%s","result":%s}' % (
            _ANSWER_HEAD, call_id(0, 0).encode(), function.encode(), RESULT,
        )  # fmt: skip
        frame = masked_frame(message)
        start = len(frame) - len(message) + len(_ANSWER_HEAD)
        return frame[:start], frame[start + _ID_BYTES :]


async def main(port: int) -> None:
    worker = Worker(HttpWire("hello", 32), FUNCTION, "each")
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(fail)
    await loop.create_connection(lambda: worker, "127.0.0.1", port)
    await worker.ready
    print('{"ready": true}', flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
