"""Configurations that pages show are accepted by the engine as they stand."""

import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import iii
from iii.server import config_file

ROOT = Path(iii.__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", *(ROOT / "docs" / "how-to").glob("*.md"), *(ROOT / "docs" / "reference").glob("*.md")]
)
BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\$\{(\w+)\}")


def configurations() -> Iterator[tuple[str, str]]:
    """Whole files, and lists of modules."""
    for page in PAGES:
        for number, block in enumerate(BLOCK.findall(page.read_text()), 1):
            text = textwrap.dedent(block)
            if text.startswith("- name: iii-"):
                text = "workers:\n" + textwrap.indent(text, "  ")
            if text.startswith("workers:"):
                yield f"{page.stem}-{number}", text


CONFIGURATIONS = dict(configurations())


def test_pages_show_configurations() -> None:
    assert {"metrics-1", "traces-1", "collector-1"} <= set(CONFIGURATIONS)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_on_a_page_has_no_mistakes(name: str, tmp_path: Path) -> None:
    text = CONFIGURATIONS[name]
    file = tmp_path / "config.yaml"
    file.write_text(text)
    config_file.load(file, environment={**os.environ, **dict.fromkeys(VARIABLE.findall(text), "7")})
