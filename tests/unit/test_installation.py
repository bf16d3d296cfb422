"""What makes the package useless is said when it is imported (newcomer S6, bugs 5)."""

import json
import sys
from pathlib import Path

import pytest

from iii.installation import check, how_to_install


def test_newcomer_S6_the_published_client_beside_it_is_named(tmp_path: Path) -> None:
    check(str(tmp_path), (3, 11, 0))
    (tmp_path / "iii_py-0.1.0.dist-info").mkdir()
    check(str(tmp_path), (3, 11, 0))
    (tmp_path / "iii_sdk-0.25.0.dist-info").mkdir()
    with pytest.raises(ImportError, match="iii-sdk is installed beside iii-py"):
        check(str(tmp_path), (3, 11, 0))


@pytest.mark.parametrize("patch", range(5))
def test_bugs_5_versions_that_cannot_serve_are_refused(tmp_path: Path, patch: int) -> None:
    if patch <= 2:
        with pytest.raises(ImportError, match=f"Python 3.12.{patch} is not supported"):
            check(str(tmp_path), (3, 12, patch))
    else:
        check(str(tmp_path), (3, 12, patch))


def test_an_archive_is_no_folder_and_no_fault() -> None:
    check("/no/such/folder.zip", (3, 13, 0))


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ({"url": "file:///srv/my%20iii", "dir_info": {"editable": True}}, "pip install -e '/srv/my iii[engine]'"),
        ({"url": "file:///srv/iii", "dir_info": {}}, "pip install '/srv/iii[engine]'"),
        ({"url": "file:///tmp/iii_py.whl", "archive_info": {}}, "in a checkout of its repository, pip install '.[engine]'"),
        (None, "in a checkout of its repository, pip install '.[engine]'"),
    ],
    ids=["editable", "folder", "wheel", "unknown"],
)  # fmt: skip
def test_newcomer_M19_an_extra_is_installed_from_where_the_package_came(
    origin: object, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            return json.dumps(origin) if origin is not None else None

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed())
    assert how_to_install("engine") == command


def test_newcomer_M19_the_test_engine_without_the_engine_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import iii.testing

    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "iii.testing.kit", None)
    monkeypatch.delitem(vars(iii.testing), "TestEngine", raising=False)
    with pytest.raises(ImportError, match=r"iii\.testing runs the engine: .* further packages \(rich\)"):
        from iii.testing import TestEngine

    monkeypatch.setitem(sys.modules, "rich", sys)
    with pytest.raises(ImportError, match=r"iii\.testing\.kit"):  # of something else
        from iii.testing import TestEngine  # noqa: F401
