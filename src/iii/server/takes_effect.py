"""When a changed option counts in an engine that runs, as `iii config diff` says it (18 §3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from iii.engine.module import Adjusted
from iii.modules.observability.config import AT_ONCE

_NOW, _MODULE, _ENGINE = Adjusted.NOW, Adjusted.MODULE, Adjusted.ENGINE


class _Rule(NamedTuple):
    """Of the options of one module: how most of them count, and the others. Of what depends on another port, how it counts without."""

    usually: Adjusted
    others: Mapping[str, Adjusted] = MappingProxyType({})


_OTHERWISE = _Rule(_MODULE)
_RULES = {
    "configuration": _Rule(_NOW, {"adapter": _ENGINE}),
    "iii-engine-functions": _Rule(_ENGINE),
    "iii-http": _Rule(
        _NOW,
        dict.fromkeys(
            ("access_log", "file_path", "host", "idle_timeout", "ignore_trailing_slash", "route_grace_ms"), _MODULE
        ),
    ),
    "iii-http-functions": _Rule(_ENGINE),
    "iii-observability": _Rule(_ENGINE, dict.fromkeys(AT_ONCE, _NOW)),
    "iii-queue": _Rule(_MODULE, {"queue_configs": _NOW}),
    "iii-state": _Rule(_NOW, dict.fromkeys(("adapter", "save_interval_ms"), _MODULE)),
    "iii-stream": _Rule(_NOW, dict.fromkeys(("adapter", "host"), _MODULE)),
    "iii-telemetry": _Rule(_NOW),
    "iii-worker-manager": _Rule(_NOW, {"host": _MODULE}),
}


def takes_effect(instance: str, key: str) -> Adjusted:
    """Of an option by its path, such as `queue_configs.emails.concurrency`, of a module that goes on."""
    rule = _RULES.get(instance.partition("#")[0], _OTHERWISE)
    return rule.others.get(key.partition(".")[0].partition("[")[0], rule.usually)
