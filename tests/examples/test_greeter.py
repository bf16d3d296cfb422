"""The example of README and tutorial, as a person would run it."""

import subprocess
import sys
from pathlib import Path

from tests.processes import EngineProcess, environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "greeter.py"
ANSWER_S = 60.0


def test_greeter_calls_itself_and_is_called_from_the_shell(tmp_path: Path) -> None:
    with EngineProcess(tmp_path) as engine:
        settings = environment({"III_URL": engine.url, "PYTHONUNBUFFERED": "1"})
        worker = subprocess.Popen([sys.executable, EXAMPLE], env=settings, stdout=subprocess.PIPE, text=True)
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "Hello, Ada!\n"
            trigger = [sys.executable, "-m", "iii.cli", "trigger", "greet::hello", "name=Grace"]
            called = subprocess.run(trigger, env=settings, capture_output=True, text=True, timeout=ANSWER_S)
        finally:
            worker.kill()
            worker.communicate()

    assert (called.stdout, called.stderr, called.returncode) == ('"Hello, Grace!"\n', "", 0)
