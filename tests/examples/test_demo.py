"""`make demo ONCE=1` shows the main job and leaves nothing behind."""

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import iii
from examples.demo import Demo
from tests.processes import environment, free_port

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.timeout(300)
def test_the_demo_shows_the_main_job_and_ends(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO), "--once"],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment({"TMPDIR": str(tmp_path)}),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert 'math::add({"a": 2, "b": 3}) -> 5' in lines
    assert any("invalid_request" in line and "$.b" in line for line in lines)
    assert any("function_not_found" in line for line in lines)
    assert '200 {"sum":5}' in lines
    assert '404 {"error":{"code":"NOT_FOUND","message":"Not Found"}}' in lines
    assert 'math::add({"a": 20, "b": 22}) -> 42' in lines
    assert 'visits -> {"count": 1, "by": "Ada"}' in lines
    assert 'and the state is there: visits -> {"count": 1, "by": "Ada"}' in lines
    assert any(line.startswith("the first order: ") for line in lines)
    left = [each.info["cmdline"] for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"]]
    assert not [command for command in left if any(str(tmp_path) in word for word in command)]


async def test_what_is_set_in_the_demo_stays_in_its_folder(tmp_path: Path) -> None:
    """It was written to the checkout, and counted for every engine that was started there later."""
    demo = Demo(tmp_path, free_port(), free_port(), free_port(), free_port())
    try:
        await asyncio.to_thread(demo.start_engine)
        async with iii.connect_worker(demo.url, iii.InitOptions(otel={"enabled": False})) as me:
            payload = {"id": "iii-pubsub", "value": {}}
            await me.trigger_async({"function_id": "configuration::set", "payload": payload})
    finally:
        await asyncio.to_thread(demo.end_all)
    assert (tmp_path / "config" / "iii-pubsub.yaml").is_file()
