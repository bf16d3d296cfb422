"""Calls with our Python SDK: beside the published client, and with traces beside without.

    python benchmarks/sdk.py [--quick] [--json FILE]

Caller, worker and engine share the cores, so what one end saves the others get. On a machine with other work look at the CPU.
Ratios are medians of what each round gave: three clients one after the other, each round beginning with another one.
The processes are started five times: two of the same code differ by 3 %, as their memory lies.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
from benchmarks.bars import Bar, show
from benchmarks.clients import PUBLISHED, WINDOW, Client, Mode, Rounds, compare, middle, ratio
from benchmarks.processes import ProcessFailed, Server, engine, free_port

CLIENTS: tuple[Client, ...] = ("ours", "traced", "published")


def measure(quick: bool) -> dict[Mode, Rounds]:
    seen: dict[Mode, Rounds] = {}
    for _ in range(1 if quick else 5):
        with ExitStack() as stack:
            engines: dict[Client, Server] = {}
            for client in CLIENTS:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                engines[client] = stack.enter_context(engine(folder, free_port())).wait_until_listening()
            for mode, rounds in compare(engines, 3, 0.3 if quick else 0.6).items():
                for client, figures in rounds.items():
                    seen.setdefault(mode, {}).setdefault(client, []).extend(figures)
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description="Calls with our SDK, beside the published one and with traces.")
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    options = parser.parse_args()
    results = measure(options.quick)
    print(f"{'':24} {'':16} {'calls/s':>9} {'CPU us: ends':>13} {'engine':>7}")
    figures = {mode: {client: middle(rounds) for client, rounds in rows.items()} for mode, rows in results.items()}
    for mode, rows in figures.items():
        for client, row in rows.items():
            title = f"{mode}, {WINDOW if mode == 'async' else 1} in flight" if client == "ours" else ""
            name = PUBLISHED if client == "published" else client
            print(f"{title:24} {name:16} {row.calls_per_s:9,.0f} {row.ends_us:13.1f} {row.engine_us:7.1f}")
    ours, traced, published = (results["async"][client] for client in CLIENTS)
    to_published, to_traced = ratio(ours, published), ratio(ours, traced)
    blocking = ratio(results["blocking"]["ours"], results["blocking"]["published"])
    bars = [
        Bar("calls/s, 64 in flight / published", to_published.calls_per_s, 8, 10, True),
        Bar("CPU of caller and worker, published / ours", 1 / to_published.ends_us, 8, 10, True),
        Bar("blocking calls/s / published", blocking.calls_per_s, 2, 4, True),
        Bar("calls/s with traces / without", 1 / to_traced.calls_per_s, 0.75, 0.9, True),
        Bar("CPU of caller and worker, without traces / with", to_traced.ends_us, 0.75, 0.9, True),
    ]
    show(bars)
    if options.json:
        clients = {mode: {client: row._asdict() for client, row in rows.items()} for mode, rows in figures.items()}
        result = {"clients": clients, "bars": [{**bar._asdict(), "verdict": bar.verdict} for bar in bars]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ProcessFailed, subprocess.CalledProcessError) as error:
        sys.exit(f"benchmark failed: {error}")
