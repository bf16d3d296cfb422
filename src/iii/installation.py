"""Whether this package can work where it was installed; asked at every import, so it costs next to nothing."""

import os
import sys

_UNFIT = ((3, 12, 0), (3, 12, 1), (3, 12, 2))


def check(folder: str, version: tuple[int, ...]) -> None:
    """Look at the folder that the package lies in and at the interpreter.

    Raises:
        ImportError: the published `iii-sdk` is installed there too (newcomer S6), or the interpreter cannot start threads
            once the main thread has ended, so that a worker would fail every call (bugs 5, cpython 113964).
    """
    if version[:3] in _UNFIT:
        shown = ".".join(map(str, version[:3]))
        raise ImportError(
            f"Python {shown} is not supported: it cannot start threads after the end of the main thread. "
            "Use 3.12.3 or newer, or 3.11"
        )
    try:
        names = os.listdir(folder)
    except OSError:  # in an archive
        return
    if any(name.startswith("iii_sdk-") and name.endswith(".dist-info") for name in names):
        raise ImportError(
            f"iii-sdk is installed beside iii-py in {folder}: both install the package 'iii' and overwrite each "
            "other's files. Uninstall both (pip uninstall -y iii-sdk iii-py), then install the one you want"
        )


def checkout() -> tuple[str, bool]:
    """The folder of the repository that the package was installed from, or "", and whether its source itself runs."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import unquote, urlsplit

    try:
        origin = json.loads(distribution("iii-py").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return "", False
    url = urlsplit(str(origin.get("url", "")))
    if url.scheme != "file" or "dir_info" not in origin:  # a wheel, or a repository elsewhere
        return "", False
    return unquote(url.path), bool(origin["dir_info"].get("editable"))


def how_to_install(extra: str) -> str:
    """The command that adds an extra to this installation; no package index has the package yet."""
    import shlex

    folder, editable = checkout()
    package = shlex.quote(f"{folder or '.'}[{extra}]")
    command = f"pip install {'-e ' if editable else ''}{package}"
    return command if folder else f"in a checkout of its repository, {command}"


def without_engine() -> str | None:
    """What to tell somebody who runs the engine or its command line with only the SDK installed."""
    from importlib.util import find_spec

    missing = [name for name in ("aiohttp", "granian", "psutil", "rich", "yaml") if find_spec(name) is None]
    if not missing:
        return None
    return f"the engine and the command line need further packages ({', '.join(missing)}): {how_to_install('engine')}"


def check_this() -> None:
    """This very installation. Raises ImportError."""
    check(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), tuple(sys.version_info[:3]))
