"""Which app `iii dev app.py:app` means, and the process that runs it."""

import importlib
import importlib.util
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from iii.cli.parser import suggestion
from iii.protocol.traceback_text import from_outside
from iii.sdk.app import App

_INSIDE = ("iii.", "importlib.", "runpy.", "__main__.")  # before the first line of the file


class NoApp(Exception):
    """The target names no app; the text says why."""


def run_target(target: str) -> int:
    """Import the file, and run its app to its end; the exit code."""
    try:
        path, name = split(target)
        app = app_of(imported(path), path, name)
    except NoApp as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except Exception as error:  # that the file raised
        traceback.print_exception(error.with_traceback(from_outside(error.__traceback__, _INSIDE)))
        return 1
    if not app.ran:  # else the file has run it by itself
        app.run()
    return 0


def split(target: str) -> tuple[Path, str | None]:
    """`FILE` or `FILE:NAME`. Raises NoApp: there is no such file."""
    file, colon, name = target.rpartition(":")
    named = colon and (name.isidentifier() or (Path(file).is_file() and not Path(target).is_file()))
    path, wanted = (Path(file), name) if named else (Path(target), None)
    if not path.is_file():
        raise NoApp(f"no file '{path}'; expected FILE.py or FILE.py:NAME")
    return path, wanted


def imported(path: Path) -> ModuleType:
    """The module of a file, as a part of the package that it lies in; whatever its code raises is raised."""
    path = path.resolve()
    folder, names = path.parent, [path.stem]
    while (folder / "__init__.py").is_file():
        folder, names = folder.parent, [folder.name, *names]
    sys.path.insert(0, str(folder))
    if len(names) > 1:
        return importlib.import_module(".".join(names))
    name = path.stem if path.stem not in sys.modules else f"{path.stem} of iii dev"  # `queue.py`
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NoApp(f"'{path}' is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def app_of(module: ModuleType, path: Path, name: str | None) -> App:
    """The app of this name, or the only one that no other includes. Raises NoApp."""
    if name is not None:
        found = getattr(module, name, None)
        if not isinstance(found, App):
            apps_there = [key for key, each in vars(module).items() if isinstance(each, App)]
            what = "not defined" if found is None else "not an iii.App"
            hint = f"; apps there: {', '.join(sorted(apps_there))}" if apps_there else "; the file has no iii.App"
            raise NoApp(f"'{name}' in '{path}' is {what}{suggestion(name, apps_there) or hint}")
        return found
    apps = {each: key for key, each in reversed(vars(module).items()) if isinstance(each, App)}
    included = {member for app in apps for member in app.members() if member is not app}
    names = [key for app, key in apps.items() if app not in included]
    if not names:
        raise NoApp(f"no iii.App in '{path}'")
    if len(names) > 1 and "app" not in names:
        raise NoApp(
            f"several apps in '{path}': name one of them: {', '.join(f'{path}:{each}' for each in sorted(names))}"
        )
    chosen: App = getattr(module, "app" if "app" in names else names[0])
    return chosen


def main(arguments: Sequence[str]) -> int:
    """The process that `iii dev` starts: of a target, until the other end of a pipe is closed, however `iii dev` ends.

    Ctrl-C is for the one that started it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    target, pipe = arguments
    threading.Thread(target=_end_with_parent, args=[int(pipe)], daemon=True).start()
    return run_target(target)


def _end_with_parent(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
