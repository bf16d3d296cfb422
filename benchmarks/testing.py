"""What tests with `iii.testing` cost: fifty of them in one process of pytest, each with an engine of its own.

python benchmarks/testing.py [--quick] [--json FILE]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # started as a script
sys.path.remove(str(Path(__file__).parent))  # where http.py would hide the library of that name
from benchmarks.bars import Bar, show

TESTS = Path(__file__).parent / "tests_of_a_user.py"


def run(folder: str) -> tuple[float, float]:
    """Seconds of the whole process, and of CPU, as a user without further plugins has them."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "iii.testing.plugin",
        "--import-mode=importlib",
        "-c",
        os.devnull,
        str(TESTS),
    ]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if "50 passed" not in ran.stdout:
        sys.exit(f"benchmark failed: {ran.stdout}{ran.stderr}")
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description="Fifty tests with iii.testing.")
    parser.add_argument("--quick", action="store_true", help="two runs")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(folder)  # compiles
        runs = [run(folder) for _ in range(2 if options.quick else 5)]
    bars = [
        Bar("50 tests, whole process, s (best)", min(took for took, _ in runs), 2.0, 1.5),
        Bar("50 tests, CPU s (best)", min(cpu for _, cpu in runs), 2.0, 1.5),
    ]
    show(bars)
    if options.json:
        options.json.write_text(
            json.dumps([{**bar._asdict(), "verdict": bar.verdict} for bar in bars], indent=2) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
