"""`iii token` (20 §2)."""

import io
import stat
from pathlib import Path

import pytest

from iii.cli import main
from iii.cli.token import run
from iii.protocol.access_token import hash_of


def test_20_2_create_prints_a_token_and_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["create"]) == 0

    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert hash_of(lines["token"].strip()) == lines["hash"].strip()


def test_20_2_create_writes_a_new_file_for_its_user_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "token"

    assert run(["create", "--output", str(file)]) == 0
    token = file.read_text().strip()
    out = capsys.readouterr().out
    assert (out, token in out) == (f"hash:  {hash_of(token)}\n", False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(["create", "-o", str(file)]) == 1
    assert "File exists" in capsys.readouterr().err
    assert file.read_text().strip() == token


def test_20_2_hash_reads_the_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    token = "iii_" + "x" * 40
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))

    assert run(["hash"]) == 0
    assert capsys.readouterr().out == f"{hash_of(token)}\n"


def test_20_2_hash_refuses_what_could_be_guessed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2"))

    assert run(["hash"]) == 1
    error = capsys.readouterr().err
    assert "24 characters or more" in error
    assert "hunter2" not in error


@pytest.mark.parametrize("words", [["make"], ["create", "x"], ["hash", "--output", "f"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words)

    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_08_4_9_a_token_file_that_cannot_be_read_ends_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("III_TOKEN", raising=False)
    monkeypatch.setenv("III_TOKEN_FILE", "/nix/da")

    assert main(["worker", "list"]) == 1
    assert capsys.readouterr().err == "Error: III_TOKEN_FILE: cannot read /nix/da: No such file or directory\n"
