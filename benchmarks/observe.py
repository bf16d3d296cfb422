"""What observers cost the core per call: none, one that does not match, one that matches, one of a thousand; in alternating rounds.

No sockets: frames go in and come out as bytes, so that only the engine's own work is timed.

python benchmarks/observe.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
from benchmarks.bars import Bar, show
from iii.engine.engine import Engine
from iii.engine.engine_functions import EngineFunctions
from iii.testing.clock import FakeClock
from iii.testing.link import MemoryLink

OBSERVERS = 1000
CALL_ID = "00000000-0000-4000-8000-000000000000"
_CALL = b'{"type":"invokefunction","invocation_id":"'
_encode = msgspec.json.encode


class Silent(MemoryLink):
    """Answers each call as a worker would, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def send(self, frame: bytes, urgent: bool = False) -> None:
        if frame.startswith(_CALL):
            self.asked.append(frame[len(_CALL) : len(_CALL) + len(CALL_ID)])


class Case:
    """An engine with a host, a caller and a worker that observes, or does not."""

    def __init__(self, filters: list[Any]) -> None:
        engine = Engine(FakeClock())
        engine.add_module(EngineFunctions(engine))
        self.host, self.answer = self._worker(engine, "svc::f", [])
        _, self.call = self._worker(engine, "svc::c", [])
        self.target, observe = self._worker(engine, "svc::t", ["observe.v1"])
        self.observe = observe
        for number, written in enumerate(filters):
            observe(_encode({"type": "observe", "id": f"o{number}", "source": {"function_id": "svc::f", "filters": written},
                             "target": {"function_id": "svc::t"}}))  # fmt: skip
        self._frame = _encode({"type": "invokefunction", "invocation_id": CALL_ID, "function_id": "svc::f",
                               "data": {"op": "x", "number": 7, "text": "some words"}})  # fmt: skip

    def _worker(self, engine: Engine, function_id: str, features: list[str]) -> tuple[Silent, Callable[[bytes], None]]:
        link = Silent()
        session = engine.connect(link)
        session.receive(_encode({"type": "registerfunction", "id": function_id}))
        data = {"runtime": "python", "version": "0.24.0", "features": features}
        session.receive(_encode({"type": "invokefunction", "function_id": "engine::workers::register", "data": data}))
        return link, session.receive

    def calls(self, count: int) -> float:
        """CPU seconds of so many calls, their answers and activations."""
        call, answer, asked, frame = self.call, self.answer, self.host.asked, self._frame
        activated, observe = self.target.asked, self.observe
        begun = time.process_time()
        for _ in range(count):
            call(frame)
            answer(
                b'{"type":"invocationresult","invocation_id":"%b","function_id":"svc::f","result":{"y":1}}'
                % asked.pop()
            )
            if activated:
                observe(
                    b'{"type":"invocationresult","invocation_id":"%b","function_id":"svc::t","result":null}'
                    % activated.pop()
                )
        return time.process_time() - begun


CASES: dict[str, list[Any]] = {
    "nobody observes": [],
    "one observer, no match": [{"input.op": {"$eq": "y"}}],
    "one observer, a match": [{"input.op": {"$eq": "x"}}],
    "a thousand observers, no match": [{"input.op": {"$eq": f"y{number}"}} for number in range(OBSERVERS)],
    "a thousand observers, one match": [
        {"input.op": {"$eq": "x" if number == 7 else f"y{number}"}} for number in range(OBSERVERS)
    ],
}


def measure(rounds: int, count: int) -> dict[str, float]:
    """Microseconds a call, the median over rounds."""
    cases = {name: Case(filters) for name, filters in CASES.items()}
    figures: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        case.calls(count // 4)
    names = list(cases)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            figures[name].append(cases[name].calls(count) / count * 1e6)
    return {name: median(row) for name, row in figures.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="What observers cost the core per call.")
    parser.add_argument("--quick", action="store_true", help="few short rounds")
    options = parser.parse_args()
    figures = measure(5 if options.quick else 25, 2_000 if options.quick else 10_000)
    for name, us in figures.items():
        print(f"{name:34} {us:7.2f} us a call")
    plain, missed, matched, thousand, one_of_thousand = figures.values()
    show(
        [
            Bar("one observer that does not match, us a call more", missed - plain, 2.0, 1.0),
            Bar("one that matches / two plain calls", matched / (2 * plain), 1.2, 1.05),
            Bar("a thousand that do not match, us a call more", thousand - plain, 6.0, 3.0),
            Bar("one of a thousand matches, us more than one of one", one_of_thousand - matched, 6.0, 3.0),
        ]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
