"""Ctrl-C while a command begins (07 §8.4)."""

import subprocess
import sys

import pytest

from iii.cli import INTERRUPTED

PROGRAM = """
import sys

class Interruption:
    'Ctrl-C at the first import of one module.'

    came = False

    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1] and not self.came:
            self.came = True
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interruption())
from iii.cli import main
sys.exit(main(["trigger", "shop::hello", "--url", "ws://127.0.0.1:1"]))
"""


@pytest.mark.parametrize("module", ["datetime", "msgspec", "msgspec._core", "iii.cli.trigger"])
def test_07_8_4_ctrl_c_while_modules_are_loaded_ends_the_command_with_130(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, module], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "")
