"""The service of README, and the test that README shows."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"```py\n(from iii.testing import.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_service_of_readme_passes_the_test_that_readme_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    (shown,) = SHOWN.findall((ROOT / "README.md").read_text())
    test = dict[str, object]()
    exec(shown, test)
    (run,) = [value for name, value in test.items() if name.startswith("test_") and callable(value)]
    try:
        run()
    finally:
        sys.modules.pop("orders", None)
