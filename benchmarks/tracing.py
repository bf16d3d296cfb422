"""What spans of the engine cost a call: engines without and with `iii-observability`, the same raw load, in alternating rounds.

python benchmarks/tracing.py [--quick]
"""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
from benchmarks.bars import Bar, show
from benchmarks.processes import ProcessFailed, engine, free_port
from benchmarks.routing import Case, Figures, Load

CASE = Case(64, 32, writes="joined")
WARM_UP_S = 0.3
OFF = "  - name: iii-observability\n    config: {enabled: false}\n"
LOADS = {  # of one engine each: what its calls are, and further modules of its configuration
    "off": ("bench", OFF),
    "on, no trace context": ("bench", ""),
    "on, trace context handed on": ("context", ""),
    "on, every call has a span": ("unrecorded", ""),
}


def measure(rounds: int, seconds: float) -> tuple[dict[str, Figures], dict[str, float]]:
    """Medians, and those of the CPU per call divided by that of the first load in the same round: the machine is not ours alone.

    Each round has all loads, and begins with another one.
    """
    figures: dict[str, list[Figures]] = {name: [] for name in LOADS}
    with ExitStack() as stack:
        loads = {}
        for name, (kind, more) in LOADS.items():
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            server = stack.enter_context(engine(folder, free_port(), more=more)).wait_until_listening()
            loads[name] = stack.enter_context(Load(CASE, "iii", server, kind))
            loads[name].round(WARM_UP_S)
        names = list(LOADS)
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                figures[name].append(loads[name].round(seconds))
    first = next(iter(figures.values()))
    ratios = {
        name: median([row.cpu_us / off.cpu_us for row, off in zip(rows, first, strict=True)])
        for name, rows in figures.items()
    }
    return {name: Figures(*map(median, zip(*rows, strict=True))) for name, rows in figures.items()}, ratios


def main() -> int:
    parser = argparse.ArgumentParser(description="What spans of the engine cost a call.")
    parser.add_argument("--quick", action="store_true", help="a few rounds")
    options = parser.parse_args()
    figures, ratios = measure(8 if options.quick else 40, 0.2)
    print(f"{CASE.title}, {os.cpu_count()} cores\n{'':32} {'calls/s':>9} {'p99 ms':>8} {'CPU us':>8}")
    for name, row in figures.items():
        print(f"{name:32} {row.calls_per_s:9,.0f} {row.p99_ms:8.3f} {row.cpu_us:8.2f}")
    _, on, handed_on, traced = ratios.values()
    show(
        [
            Bar("CPU per call, on / off", on, 1.05, 1.02),
            Bar("CPU per call, trace context handed on / off", handed_on, 1.15, 1.1),
            Bar("CPU per call, every call has a span / off", traced, 1.35, 1.25),
        ]
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProcessFailed as error:
        sys.exit(f"benchmark failed: {error}")
