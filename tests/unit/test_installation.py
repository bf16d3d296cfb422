"""What makes the package useless is said when it is imported (newcomer S6, bugs 5)."""

from pathlib import Path

import pytest

from iii.installation import check


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
