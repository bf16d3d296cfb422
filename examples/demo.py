"""The main job, shown: an engine, a worker that registers, calls, is seen, is killed and comes back; then a shop with traffic.

    python examples/demo.py [--once]

Needs nothing but this checkout. Runs until Ctrl-C; with --once it ends by itself.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import iii

USUAL_PORT = 49_134
USUAL_HTTP_PORT = 3111
USUAL_STREAM_PORT = 3112
USUAL_CONSOLE_PORT = 3113
CONSOLE = Path(iii.__file__).parent / "console" / "assets" / "index.html"  # once `make console` has built it
SHOP = Path(__file__).parent / "shop"
PATIENCE_S = 60.0  # for anything that should happen soon, on a busy machine too
CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {{host: 127.0.0.1, port: {port}}}
  - name: iii-http
    config: {{host: 127.0.0.1, port: {http}}}
  - name: iii-stream
    config: {{host: 127.0.0.1, port: {stream}}}
  - name: iii-state
    config: {{adapter: {{name: kv, config: {{store_method: file_based, file_path: {data}}}}}}}
  - name: iii-queue
    config:
      adapter: {{name: builtin, config: {{store_method: file_based, file_path: {data}}}}}
      queue_configs:
        mail: {{max_retries: 2, backoff_ms: 500}}
  - name: iii-pubsub
  - name: iii-cron
  - name: iii-console
    config: {{port: {console}}}
"""
WORKER = """\
import os, signal, sys
from msgspec import Struct
import iii

class Sum(Struct):
    a: int
    b: int

worker = iii.register_worker(sys.argv[1], iii.InitOptions(worker_name="math-worker"))

@worker.function("math::add")
def add(numbers: Sum) -> int:
    "Add two numbers."
    return numbers.a + numbers.b

@worker.http("GET", "/sum")
def sum_of_query(a: int, b: int) -> dict:
    return {"sum": a + b}

signal.pause()
"""


class Demo:
    """The processes of the show, in one temporary folder."""

    def __init__(self, folder: Path, port: int, http_port: int, stream_port: int, console_port: int) -> None:
        self.folder = folder
        self.port = port
        self.http_url = f"http://127.0.0.1:{http_port}"
        self.stream_url = f"ws://127.0.0.1:{stream_port}"
        self.console_url = f"http://127.0.0.1:{console_port}"
        self.url = f"ws://127.0.0.1:{port}"
        self.log = folder / "engine.log"
        ports = {"port": port, "http": http_port, "stream": stream_port, "console": console_port}
        (folder / "config.yaml").write_text(CONFIG.format(**ports, data=folder / "data"))
        (folder / "math_worker.py").write_text(WORKER)
        self._running: list[subprocess.Popen[bytes]] = []

    def start_engine(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "iii.cli", "-c", str(self.folder / "config.yaml")]
        with self.log.open("ab") as log:
            said = log.tell()
            engine = self._start(
                command, stdout=log, stderr=log, cwd=self.folder
            )  # settings that are changed stay there
        deadline = time.monotonic() + PATIENCE_S
        while b"Engine ready" not in self.log.read_bytes()[said:]:
            if engine.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the engine did not start")
            time.sleep(0.01)
        return engine

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self._start([sys.executable, str(self.folder / "math_worker.py"), self.url], stderr=subprocess.DEVNULL)

    def open_shop(self) -> None:
        """The workers of examples/shop, with customers."""
        env = {
            **os.environ,
            "III_URL": self.url,
            "SHOP_URL": self.http_url,
            "SHOP_STREAM_URL": self.stream_url,
            "SHOP_OUTBOX": str(self.folder / "outbox"),
        }
        with self.log.open("ab") as log:
            for program in ("orders.py", "mail.py", "traffic.py"):
                self._start([sys.executable, str(SHOP / program)], stdout=log, stderr=log, env=env)

    def _start(self, command: list[str], **streams: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, start_new_session=True, **streams)  # type: ignore[call-overload]
        self._running.append(process)
        return process  # type: ignore[no-any-return]

    def end(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        process.send_signal(number)
        process.wait(PATIENCE_S)
        self._running.remove(process)

    def end_all(self) -> None:
        """In turns, the engine behind the shop: calls of workers that end are answered. A second Ctrl-C ends all at once."""
        try:
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                for process in reversed(self._running):
                    process.terminate()
                    process.wait(PATIENCE_S)
        finally:
            for process in self._running:
                process.kill()
                process.wait()
            self._running.clear()


def say(text: str) -> None:
    print(text, flush=True)


def step(text: str) -> None:
    say(f"\n== {text}")


async def seen(worker: iii.Worker, name: str, present: bool = True) -> iii.WorkerInfo | None:
    """Wait until a worker of that name is listed, or is not."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with asyncio.timeout(1):  # a question to an engine that was killed is never answered
                    rows = [row for row in await worker.list_workers_async() if row.name == name]
            except (iii.InvocationError, TimeoutError):
                rows = None
            if rows is not None and bool(rows) == present and (not present or rows[0].functions):
                return rows[0] if rows else None
            await asyncio.sleep(0.02)


async def until_ordered(me: iii.Worker) -> None:
    orders = me.state("orders")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if placed := await orders.values_async():
                say(f"   the first order: {placed[0]['pieces']} × {placed[0]['article']}")
                return
            await asyncio.sleep(0.05)


async def call(worker: iii.Worker, payload: object) -> None:
    request: iii.TriggerRequest = {"function_id": "math::add", "payload": payload, "timeout_ms": 30_000}
    try:
        answer = json.dumps(await worker.trigger_async(request))
    except iii.InvocationError as error:
        answer = f"error {error}"
    say(f"   math::add({json.dumps(payload)}) -> {answer}")


def get(url: str) -> None:
    say(f"   curl '{url}'")
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            status, body = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read().decode()
    say(f"   {status} {body}")


async def show(demo: Demo) -> None:
    step("the engine starts")
    engine = demo.start_engine()
    options = iii.InitOptions(worker_name="demo-caller", otel={"enabled": False})
    async with iii.connect_worker(demo.url, options) as me:
        say(f"   it listens on {demo.url}; its log is {demo.log}")

        step("a worker starts and registers math::add")
        process = demo.start_worker()
        row = await seen(me, "math-worker")
        assert row is not None
        say(f"   {row.name}: {row.runtime} {row.version}, status {row.status}, functions {', '.join(row.functions)}")

        step("another worker calls it")
        await call(me, {"a": 2, "b": 3})
        await call(me, {"a": 2, "b": "three"})

        step("and over HTTP, through the route that the worker bound")
        await asyncio.to_thread(get, f"{demo.http_url}/sum?a=2&b=3")
        await asyncio.to_thread(get, f"{demo.http_url}/nowhere")

        step("state that all workers share, on disk before the answer")
        shared = me.state("demo")
        updated = await shared.update_async("visits", iii.UpdateOp.increment("count"), iii.UpdateOp.append("by", "Ada"))
        say(f"   visits -> {json.dumps(updated.new_value)}")

        step("who is connected")
        for listed in await me.list_workers_async():
            say(f"   {listed.name or listed.id:20} {listed.status:10} {listed.function_count} function(s)")

        step("kill -9 of the worker: it is gone at once, its functions with it")
        demo.end(process, signal.SIGKILL)
        await seen(me, "math-worker", present=False)
        await call(me, {"a": 2, "b": 3})

        step("the worker starts again")
        demo.start_worker()
        await seen(me, "math-worker")
        await call(me, {"a": 2, "b": 3})

        step("kill -9 of the engine, and a new one: both workers come back by themselves")
        demo.end(engine, signal.SIGKILL)
        demo.start_engine()
        await seen(me, "math-worker")
        await call(me, {"a": 20, "b": 22})
        say(f"   and the state is there: visits -> {json.dumps(await shared.get_async('visits'))}")

        step("a shop opens: orders, mail, and traffic")
        demo.open_shop()
        await until_ordered(me)


def free_ports(*usual: int) -> list[int]:
    """Of each the usual port if it is free, else the next free one above it; none twice."""
    found: list[int] = []
    for first in usual:
        for port in range(first, first + 100):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in found:
                found.append(port)
                break
        else:
            raise SystemExit(f"no free TCP port on 127.0.0.1 from {first} to {first + 99}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="An engine and a worker at work.")
    parser.add_argument("--once", action="store_true", help="end when everything has been shown")
    once = parser.parse_args().once
    for name in [name for name in os.environ if name.startswith("III_")]:
        del os.environ[name]  # the show is about the engine that it starts
    with tempfile.TemporaryDirectory(prefix="iii-demo-") as folder:
        ports = free_ports(USUAL_PORT, USUAL_HTTP_PORT, USUAL_STREAM_PORT, USUAL_CONSOLE_PORT)
        demo = Demo(Path(folder), *ports)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended
        try:
            asyncio.run(show(demo))
            if once:
                say("\nThat was all.")
                return 0
            port = "" if demo.port == USUAL_PORT else f" --port {demo.port}"
            say("\nEngine, shop and traffic keep running until Ctrl-C. In another terminal:")
            say(f"   .venv/bin/iii trigger math::add a=2 b=3{port}")
            say(f"   .venv/bin/iii worker list{port}")
            say(f"   .venv/bin/iii queue list{port}")
            say(f"   curl '{demo.http_url}/sum?a=2&b=3'")
            if CONSOLE.is_file():
                say(f"In a browser, {demo.http_url}/ is the shop. Some of its mails fail; find out why in the console:")
                say(f"   {demo.console_url}")
            signal.pause()
        except KeyboardInterrupt:
            say("")
        except Exception as error:
            say(f"\nThe demo failed: {type(error).__name__}: {error}\nThe engine's log:\n{demo.log.read_text()}")
            return 1
        finally:
            demo.end_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
