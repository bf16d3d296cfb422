"""The floor of branch coverage: 95 % in each package that others build on. Reads what `pytest --cov` has recorded."""

import json
import subprocess
import sys
from pathlib import Path

FLOOR_PERCENT = 95.0
PACKAGES = ("protocol", "engine", "sdk")
# What happens at a fork and at the end of a process is tested with processes of its own, which coverage does not see
ELSEWHERE = ("src/iii/sdk/forks.py", "src/iii/sdk/process_end.py", "src/iii/sdk/app_process.py")


def main() -> int:
    """Print the table of files below 100 %, then one line a package. Return 1 if any package is below the floor."""
    report = Path("coverage.json")
    coverage = [sys.executable, "-m", "coverage"]
    include = "--include=" + ",".join(f"src/iii/{package}/*" for package in PACKAGES)
    omit = f"--omit={','.join(ELSEWHERE)}"
    subprocess.run([*coverage, "report", include, omit], check=True)
    subprocess.run([*coverage, "json", "--quiet", "-o", str(report), include, omit], check=True)
    files = json.loads(report.read_text())["files"]
    report.unlink()

    below = 0
    for package in PACKAGES:
        summaries = [file["summary"] for path, file in files.items() if path.startswith(f"src/iii/{package}/")]
        branches = sum(summary["num_branches"] for summary in summaries)
        covered = sum(summary["covered_branches"] for summary in summaries)
        percent = 100.0 * covered / branches if branches else 0.0
        verdict = "ok" if percent >= FLOOR_PERCENT else f"BELOW THE FLOOR of {FLOOR_PERCENT:g} %"
        below += percent < FLOOR_PERCENT
        print(f"src/iii/{package}: {covered} of {branches} branches, {percent:.1f} %: {verdict}")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
