"""All modules of the package, for pages that are made from what they declare."""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

import iii

SOURCE = Path(iii.__file__).parent


@cache
def modules() -> tuple[ModuleType, ...]:
    """Imported."""
    found = pkgutil.walk_packages([str(SOURCE)], "iii.")
    return tuple(importlib.import_module(each.name) for each in found if not each.name.endswith("__main__"))
