"""Users have no specification: what they read of the package cites none of its ids, but says the reason in words."""

import inspect
from collections.abc import Iterator

import pytest

import iii
from tests.unit.docs.citations import ROOT, references


def docstrings() -> Iterator[tuple[str, str]]:
    for name in iii.__all__:
        thing = getattr(iii, name)
        yield name, inspect.getdoc(thing) or ""
        if isinstance(thing, type):
            for member, value in inspect.getmembers(thing):
                if not member.startswith("_"):
                    yield f"{name}.{member}", inspect.getdoc(value) or ""


def test_public_docstrings_cite_no_ids() -> None:
    cited = {name: found for name, text in docstrings() if (found := list(references("??", text)))}
    assert cited == {}


@pytest.mark.parametrize("page", ["sdk", "errors", "functions", "configuration", "cli"])
def test_the_reference_cites_no_ids(page: str) -> None:
    assert list(references("??", (ROOT / "docs" / "reference" / f"{page}.md").read_text())) == []
