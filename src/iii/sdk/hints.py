"""Types that the public methods name in their hints only: imported when a tool, such as `typing.get_type_hints`, reads these.

An app that is only declared does without them (11). As `hints.InitOptions` they are found all the same; a name that only
type checkers import is not.
"""

from typing import TYPE_CHECKING

from iii import first_use

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter as Meter

    from iii.sdk.core import WorkerCore as WorkerCore
    from iii.sdk.dependency import Dependency as Dependency
    from iii.sdk.discovery import FunctionsListener as FunctionsListener
    from iii.sdk.observer import Observer as Observer
    from iii.sdk.observer_declaration import ObserveOptions as ObserveOptions
    from iii.sdk.observer_declaration import ObserverDeclaration as ObserverDeclaration
    from iii.sdk.options import InitOptions as InitOptions
    from iii.sdk.providers import TriggerHandler as TriggerHandler
    from iii.sdk.rows import FunctionInfo as FunctionInfo
    from iii.sdk.rows import TriggerInfo as TriggerInfo
    from iii.sdk.rows import WorkerInfo as WorkerInfo
    from iii.sdk.rows import WorkerStatistics as WorkerStatistics
    from iii.sdk.started_call import Call as Call
    from iii.sdk.state import ConnectionState as ConnectionState
    from iii.sdk.state import ConnectionStateListener as ConnectionStateListener
    from iii.sdk.streams import Stream as Stream

_MODULE_OF = {
    "Call": "iii.sdk.started_call",
    "ConnectionState": "iii.sdk.state",
    "ConnectionStateListener": "iii.sdk.state",
    "Dependency": "iii.sdk.dependency",
    "FunctionInfo": "iii.sdk.rows",
    "FunctionsListener": "iii.sdk.discovery",
    "InitOptions": "iii.sdk.options",
    "Meter": "opentelemetry.metrics",
    "ObserveOptions": "iii.sdk.observer_declaration",
    "Observer": "iii.sdk.observer",
    "ObserverDeclaration": "iii.sdk.observer_declaration",
    "Stream": "iii.sdk.streams",
    "TriggerHandler": "iii.sdk.providers",
    "TriggerInfo": "iii.sdk.rows",
    "WorkerCore": "iii.sdk.core",
    "WorkerInfo": "iii.sdk.rows",
    "WorkerStatistics": "iii.sdk.rows",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = first_use.attribute(module, name)
        return value
