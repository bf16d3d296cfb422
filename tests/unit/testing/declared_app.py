"""An app whose declarations are made by a function, one for each test."""

from __future__ import annotations

from collections.abc import Callable

import iii

Declare = Callable[[iii.App], object]


def app_of(declare: Declare, name: str = "shop") -> iii.App:
    app = iii.App(name)
    declare(app)
    return app
