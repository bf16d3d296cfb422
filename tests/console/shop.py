"""An engine with a console, and a worker with traffic beside it."""

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.processes import EngineProcess, LineProcess, free_port

DEADLINE_S = 60.0

CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {{host: 127.0.0.1, port: {{port}}}}
  - name: iii-observability
    config: {{level: info}}
  - name: iii-http
    config: {{host: 127.0.0.1, port: {http}}}
  - name: iii-stream
    config: {{host: 127.0.0.1, port: {stream}}}
  - name: iii-state
  - name: iii-queue
    config: {{adapter: {{name: builtin, config: {{max_attempts: 2, backoff_ms: 50}}}}}}
  - name: iii-pubsub
  - name: iii-cron
  - name: iii-console
    config: {{host: 127.0.0.1, port: {console}}}
"""


class Shop:
    """Engine, console and worker: three ports by the system, ended by their ids."""

    def __init__(self, rate: float = 5.0) -> None:
        self.port = free_port()
        config = CONFIG.format(http=free_port(), stream=free_port(), console=self.port)
        self.engine = EngineProcess(config=config)
        self.url = f"http://127.0.0.1:{self.port}"
        self._rate = rate
        self._worker: LineProcess | None = None

    def __enter__(self) -> Self:
        self.engine.start()
        folder = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.console.traffic", self.engine.url, str(self._rate)]
        self._worker = LineProcess(command, cwd=folder)
        try:
            self.until(lambda: self.ask("engine::functions::info", function_id="orders::place"), "a worker")
            self.until(
                lambda: self.ask("engine::traces::list", name="charge", search_all_spans=True)["spans"], "a trace"
            )
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()
        self.engine.__exit__(None, None, None)

    def call(self, function_id: str, /, **payload: Any) -> Any:
        """Any function, as the console calls it. Raises RuntimeError if it refuses."""
        answer = self._post("/api/v1/call", {"function_id": function_id, "payload": payload})
        if not answer["ok"]:
            raise RuntimeError(f"{function_id}: {answer['error']}")
        return answer.get("result")

    def ask(self, function_id: str, /, **payload: Any) -> Any:
        """A function that only reads."""
        return self._post("/api/v1/ask", {"function_id": function_id, "payload": payload})

    def until(self, what: Callable[[], Any], name: str) -> Any:
        """What it gives, as soon as that is true."""
        give_up_at = time.monotonic() + DEADLINE_S
        while True:
            try:
                if found := what():
                    return found
            except (OSError, RuntimeError):
                pass
            assert time.monotonic() < give_up_at, f"not within {DEADLINE_S} s: {name}\n{self.engine.tail()}"
            time.sleep(0.05)

    def _post(self, path: str, body: object) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            return json.load(response)
