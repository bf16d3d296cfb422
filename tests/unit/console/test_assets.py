"""What is served of the built pages, and how (23 §2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from iii.console.assets import Assets, is_built


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "built"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<html><head><title>x</title></head><body></body></html>")
    (folder / "assets" / "index-AbCd1234.js").write_text("go()")
    (folder / "assets" / "index-AbCd1234.js.br").write_bytes(b"packed")
    (folder / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def test_files_with_a_hash_never_change(built: Path) -> None:
    found = Assets(built).find("assets/index-AbCd1234.js", "gzip, br;q=1.0")
    plain = Assets(built).find("assets/index-AbCd1234.js", "gzip, br;q=0")
    icon = Assets(built).find("icon.svg", "")

    assert found is not None
    assert plain is not None
    assert icon is not None
    assert (found.body, found.headers["Content-Encoding"]) == (b"packed", "br")
    assert "immutable" in found.headers["Cache-Control"]
    assert (plain.body, "Content-Encoding" in plain.headers) == (b"go()", False)
    assert icon.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["../secret.txt", "assets/../../secret.txt", "/etc/passwd", "", "assets", "assets/index-AbCd1234.js.br"]
)
def test_nothing_else_is_a_file(built: Path, path: str) -> None:
    assert Assets(built).find(path, "br") is None


def test_what_pages_are_told_cannot_end_their_script(built: Path) -> None:
    page = Assets(built).page({"engineHost": "</script><script>alert(1)</script>"})

    assert page.body.count(b"</script>") == 1
    assert b"<title>x</title><script>window.__CONSOLE_CONFIG__=" in page.body
    assert page.script_hash in page.policy("h")


def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    assert not is_built(tmp_path)
    assert b"make console" in Assets(tmp_path).page({}).body
