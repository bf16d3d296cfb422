"""Which app `iii dev` means."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import iii
from iii.cli.app_target import NoApp, app_of, imported, run_target, split

APP = "import iii\napp = iii.App('orders')\n"


@pytest.fixture(autouse=True)
def own_modules() -> Iterator[None]:
    before, path = dict(sys.modules), list(sys.path)
    yield
    sys.modules.clear()
    sys.modules.update(before)
    sys.path[:] = path


def found(folder: Path, source: str, name: str | None = None, file: str = "orders.py") -> iii.App:
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    return app_of(imported(path), path, name)


def test_a_target_is_a_file_and_perhaps_a_name(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("")
    assert split(str(file)) == (file, None)
    assert split(f"{file}:orders") == (file, "orders")
    assert split(f"{file}:my-orders") == (file, "my-orders")  # a mistake, of which `app_of` says what there is
    assert split(f"{file}:") == (file, "")
    (odd := tmp_path / "a.py:my-orders").write_text("")
    assert split(str(odd)) == (odd, None)
    with pytest.raises(NoApp, match=r"no file 'b.py'; expected FILE.py or FILE.py:NAME"):
        split("b.py:orders")
    with pytest.raises(NoApp, match="no file"):
        split(str(tmp_path))


def test_the_only_app_is_found_under_any_name(tmp_path: Path) -> None:
    assert found(tmp_path, "import iii\nfirst = second = iii.App('orders')\n").name == "orders"


def test_one_that_includes_the_others_is_meant(tmp_path: Path) -> None:
    source = "import iii\nusers = iii.App('users')\nshop = iii.App('shop')\nshop.include(users)\n"
    assert found(tmp_path, source).name == "shop"
    assert found(tmp_path, source, "users", "again.py").name == "users"


def test_of_several_that_is_meant_which_is_called_app(tmp_path: Path) -> None:
    several = "import iii\na = iii.App('one')\nb = iii.App('two')\n"
    assert found(tmp_path, f"{several}app = iii.App('three')\n").name == "three"
    with pytest.raises(NoApp, match=r"several apps in '.*': name one of them: .*more.py:a, .*more.py:b"):
        found(tmp_path, several, file="more.py")


def test_what_is_no_app_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoApp, match=r"no iii.App in '.*orders.py'"):
        found(tmp_path, "x = 1\n")
    with pytest.raises(NoApp, match=r"'x' in '.*other.py' is not an iii.App; the file has no iii.App"):
        found(tmp_path, "x = 1\n", "x", "other.py")
    with pytest.raises(NoApp, match=r"'y' in '.*third.py' is not defined; apps there: orders, users"):
        found(tmp_path, "import iii\nusers = iii.App('u')\norders = iii.App('o')\n", "y", "third.py")
    with pytest.raises(NoApp, match=r"'order' in '.*fourth.py' is not defined, did you mean 'orders'\?"):
        found(tmp_path, "import iii\norders = iii.App('o')\n", "order", "fourth.py")
    (tmp_path / "text.txt").write_text("app")
    with pytest.raises(NoApp, match=r"'.*text.txt' is not a Python file"):
        imported(tmp_path / "text.txt")


def test_a_file_may_have_the_name_of_a_module_that_is_there(tmp_path: Path) -> None:
    import queue

    assert found(tmp_path, APP, file="queue.py").name == "orders"
    assert sys.modules["queue"] is queue


def test_a_file_of_a_package_imports_as_such(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "names.py").write_text("NAME = 'shop'\n")
    source = "import iii\nfrom .names import NAME\nfrom shop import names\napp = iii.App(NAME)\n"
    assert found(tmp_path, source, file="shop/app.py").name == "shop"


def test_a_file_that_has_run_its_app_by_itself_is_not_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"{APP}app.ran = True\n")
    assert run_target(str(file)) == 0
    assert run_target("missing.py") == 1
    assert capsys.readouterr().err == "Error: no file 'missing.py'; expected FILE.py or FILE.py:NAME\n"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import iii\napp = iii.App('orders'\n", ["  File \"{path}\", line 2", "SyntaxError: '(' was never closed"]),
        ("import iii\niii.App('')\n", ["  File \"{path}\", line 2, in <module>", "ValueError: the name of an app is empty"]),
        ("import nothing_of_the_kind\n", ["  File \"{path}\", line 1, in <module>", "ModuleNotFoundError: No module named"]),
    ],
    ids=["syntax", "declaration", "import"],
)  # fmt: skip
def test_what_the_file_raises_begins_with_its_own_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, told: list[str]
) -> None:
    path = tmp_path / "orders.py"
    path.write_text(source)
    assert run_target(str(path)) == 1
    lines = capsys.readouterr().err.splitlines()
    if lines[0] == "Traceback (most recent call last):":
        del lines[0]
    assert lines[0].startswith(told[0].format(path=path))
    assert lines[-1].startswith(told[1])
    assert not [line for line in lines if "importlib" in line or "app_target" in line]
