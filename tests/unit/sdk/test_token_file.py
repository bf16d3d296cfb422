"""`III_TOKEN_FILE` (08 §4.9)."""

from pathlib import Path

import pytest

from iii.sdk.engine_address import handshake_headers


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("III_TOKEN", raising=False)
    monkeypatch.setenv("III_TOKEN_FILE", str(tmp_path / "token"))
    return tmp_path / "token"


def test_08_4_9_the_file_is_read_at_each_handshake(file: Path) -> None:
    file.write_text("first\n")
    headers = handshake_headers({"X-Own": "1"})
    assert dict(headers) == {"X-Own": "1", "Authorization": "Bearer first"}

    file.write_text("second\n")
    assert headers["Authorization"] == "Bearer second"
    file.write_text("")
    assert headers["Authorization"] == "Bearer second"
    file.unlink()
    assert dict(headers) == {"X-Own": "1", "Authorization": "Bearer second"}


def test_08_4_9_others_come_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("file")
    assert handshake_headers({"authorization": "Basic x"}) == {"authorization": "Basic x"}

    monkeypatch.setenv("III_TOKEN", "variable")
    assert handshake_headers(None) == {"Authorization": "Bearer variable"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\xff", "it is not text"),
        (b"a\r\nX: y", "it is not text of one line"),
    ],
)
def test_08_4_9_a_file_without_a_token_is_an_error(file: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ValueError, match=f"III_TOKEN_FILE: .*{told}"):
        handshake_headers(None)
