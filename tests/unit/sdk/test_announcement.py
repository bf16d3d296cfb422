"""Where the project's name comes from (08 §4.10, check 50)."""

from importlib import metadata
from pathlib import Path

import pytest

import iii
from iii.sdk.announcement import announcement, package_version, project_name


@pytest.mark.parametrize(
    "text", ["[project", "[project]\n", '[project]\nname = " "\n', "[project]\nname = 5\n", "project = 1\n", "\xff"]
)
def test_08_check_50_a_project_file_that_names_nothing_gives_way_to_the_folder(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
    assert project_name(tmp_path) == tmp_path.name
    assert project_name(Path("/")) is None


def test_a_folder_that_is_gone_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", gone)
    assert announcement(iii.InitOptions(), "w").telemetry["project_name"] is None


def test_a_source_tree_without_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    assert package_version()[0].isdigit()
    monkeypatch.setattr(metadata, "version", missing)
    package_version.cache_clear()
    try:
        assert package_version() == "unknown"
    finally:
        package_version.cache_clear()
