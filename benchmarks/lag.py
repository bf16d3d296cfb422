"""What holds the engine's loop: hostile and heavy messages, beside a client that pings every 5 ms.

    python benchmarks/lag.py [--quick] [--only TEXT] [--json FILE]

Look at the largest ping of each attack; the row `nothing` is what the machine itself adds. It needs Linux. Bars: 50 ms for
each attack (aim 20 ms), 0.2 ms of CPU for the registration of a schedule, 0.1 s until a job runs that waits behind
400,000 which cannot, 20 ms for the 99th percentile of other clients beside 160,000 jobs of one group.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
import argparse
import contextlib
import itertools
import json
import queue
import tempfile
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.bars import Bar, show
from benchmarks.lag_attacks import ATTACKS, Attack, Target
from benchmarks.lag_client import ANSWER_S, Client, invocation_id, invoke, message, trigger, worker
from benchmarks.processes import Talker, engine, free_port

QUIET_S = 0.5  # pings go on for so long after an attack

MODULES = """\
  - name: iii-state
    config: {{adapter: {{name: kv, config: {{store_method: file_based, file_path: {folder}/data}}}}}}
  - name: iii-queue
    config:
      adapter: {{name: builtin, config: {{store_method: file_based, file_path: {folder}/data}}}}
      queue_configs:
        hot: {{type: fifo, message_group_field: group, parallel_groups: true, concurrency: 10}}
  - name: iii-cron
  - name: iii-pubsub
"""


class Figures(NamedTuple):
    """One attack."""

    largest_ms: float
    p99_ms: float
    cpu_s: float  # of the engine
    grown_mb: float  # resident memory of the engine


class House:
    """One engine and who pings it."""

    def __init__(self, folder: str, quick: bool) -> None:
        self._folder, self._quick = folder, quick
        self.port = free_port()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "House":
        server = engine(self._folder, self.port, more=MODULES.format(folder=self._folder))
        self.server = self._stack.enter_context(server).wait_until_listening()
        self._pinger = self._stack.enter_context(Talker(sys.executable, "lag_client.py", self.port))
        self.ping_ms()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def ping_ms(self) -> dict[str, float]:
        """The largest and the 99th percentile since the last time."""
        self._pinger.say("")
        figures: dict[str, float] = self._pinger.hear()
        return figures

    def measured(self, attack: Attack) -> Figures:
        time.sleep(QUIET_S)
        self.ping_ms()
        cpu_ns, rss_kb = self.server.cpu_ns(), self.server.rss_kb()
        attack(Target(self.port, self.server, self._quick))
        time.sleep(QUIET_S)
        pings = self.ping_ms()
        cpu_s, grown_mb = (self.server.cpu_ns() - cpu_ns) / 1e9, (self.server.rss_kb() - rss_kb) / 1024
        return Figures(pings["largest"], pings["p99"], cpu_s, grown_mb)


def attacks(quick: bool, only: str) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    print(f"{'':52} {'largest':>8} {'p99':>8} {'CPU s':>8} {'MB':>8}")
    for name, attack in ATTACKS.items():
        if only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder, House(folder, quick) as house:
            figures = house.measured(attack)
        found[name] = figures
        print(
            f"{name:52} {figures.largest_ms:8.1f} {figures.p99_ms:8.1f} {figures.cpu_s:8.2f} {figures.grown_mb:8.0f}",
            flush=True,
        )
    return found


def cron_cpu_ms(quick: bool) -> float:
    """Engine CPU for each registration of a yearly schedule."""
    count = 1000 if quick else 5000
    with tempfile.TemporaryDirectory() as folder, House(folder, quick) as house:
        client = worker(house.port, "crons")
        plain_ns = house.server.cpu_ns()
        client.send(trigger(n, "never", {"expression": "0 0 1 1 1 *"}) for n in range(count))
        client.ping()
        cron_ns = house.server.cpu_ns()
        client.send(trigger(n, "cron", {"expression": "0 0 1 1 1 *"}) for n in range(count))
        client.ping()
        time.sleep(QUIET_S)
        after_ns = house.server.cpu_ns()
        return max(0.0, ((after_ns - cron_ns) - (cron_ns - plain_ns)) / count / 1e6)


def enqueue(client: Client, name: str, function_id: str, data: Iterable[object]) -> None:
    """Jobs into a queue; returns once all are accepted."""
    source = iter(data)
    while batch := list(itertools.islice(source, 2000)):
        before = client.received
        client.send(
            invoke(function_id, each, invocation_id(), action={"type": "enqueue", "queue": name}) for each in batch
        )
        while client.received < before + len(batch):
            time.sleep(0.002)
        while not client.messages.empty():
            client.messages.get()


def success(call: bytes) -> bytes:
    answered = json.loads(call)
    members = {key: answered[key] for key in ("invocation_id", "function_id")}
    return message("invocationresult", **members, result=None)


def behind_parked_s(quick: bool) -> tuple[float, float]:
    """Seconds until a job runs behind 400,000 whose function is not there, after a restart; the largest ping in ms."""
    count = 40_000 if quick else 400_000
    with tempfile.TemporaryDirectory() as folder:
        with House(folder, quick) as house:
            client = worker(house.port, "producer")
            enqueue(client, "default", "absent::f", ({"n": n} for n in range(count)))
        with House(folder, quick) as house:
            present, producer = worker(house.port, "present", "present::f"), worker(house.port, "producer")
            time.sleep(QUIET_S)
            house.ping_ms()
            started = time.perf_counter()
            producer.send(
                [invoke("present::f", {"n": 1}, invocation_id(), action={"type": "enqueue", "queue": "default"})]
            )
            while b'"present::f"' not in (call := present.messages.get(timeout=ANSWER_S)):
                pass
            took_s = time.perf_counter() - started
            present.send([success(call)])
            time.sleep(QUIET_S)
            return took_s, house.ping_ms()["largest"]


def hot_group_ms(quick: bool) -> dict[str, float]:
    """Pings of another client while 2,000 jobs of 20 groups join 160,000 of one, after a restart."""
    count = 16_000 if quick else 160_000
    with tempfile.TemporaryDirectory() as folder:
        with House(folder, quick) as house:
            enqueue(worker(house.port, "producer"), "hot", "hot::f", ({"group": "hot", "n": n} for n in range(count)))
        with House(folder, quick) as house:
            executor = worker(house.port, "executor", "hot::f")
            stop = threading.Event()

            def serve() -> None:
                while not stop.is_set():
                    with contextlib.suppress(queue.Empty):
                        call = executor.messages.get(timeout=0.1)
                        if b'"invokefunction"' in call[:40]:
                            executor.send([success(call)])

            serving = threading.Thread(target=serve)
            serving.start()
            house.ping_ms()
            producer = worker(house.port, "producer")
            enqueue(producer, "hot", "hot::f", ({"group": f"g{n % 20}", "n": n} for n in range(2000)))
            time.sleep(3)
            pings = house.ping_ms()
            stop.set()
            serving.join()
            return pings


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What holds the engine's loop.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the load")
    parser.add_argument("--only", default="", metavar="TEXT", help="only attacks whose name contains it")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    found = attacks(options.quick, options.only)
    bars = [Bar(f"ms, {name}", figures.largest_ms, 50, 20) for name, figures in found.items() if name != "nothing"]
    if not options.only:
        bars.append(Bar("ms of CPU to register a yearly schedule", cron_cpu_ms(options.quick), 0.2, 0.1))
        took_s, largest_ms = behind_parked_s(options.quick)
        bars.append(Bar("s until a job runs behind 400,000 parked ones", took_s, 0.1, 0.02))
        bars.append(Bar("ms, the largest ping meanwhile", largest_ms, 50, 20))
        pings = hot_group_ms(options.quick)
        bars.append(Bar("ms, 99th percentile beside 160,000 jobs of a group", pings["p99"], 20, 10))
        bars.append(Bar("ms, the largest ping meanwhile", pings["largest"], 50, 20))
    show(bars)
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "attacks": {name: figures._asdict() for name, figures in found.items()},
                    "bars": [bar._asdict() for bar in bars],
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
