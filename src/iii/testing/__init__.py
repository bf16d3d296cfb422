"""Test workers in the test's own process: an engine without a port, on a clock that the test moves.

`TestEngine` and what it raises are for users; the rest is what the engine itself is tested with.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iii.testing.clock import FakeClock, FakeTimer
    from iii.testing.engine import MemoryEngine
    from iii.testing.failures import JobFailed, TriggerFailed, Unfinished
    from iii.testing.http import HttpAnswer
    from iii.testing.kit import TestEngine
    from iii.testing.link import MemoryLink
    from iii.testing.traffic import CallRecord
    from iii.testing.worker import MemoryWorker

__all__ = [
    "CallRecord",
    "FakeClock",
    "FakeTimer",
    "HttpAnswer",
    "JobFailed",
    "MemoryEngine",
    "MemoryLink",
    "MemoryWorker",
    "TestEngine",
    "TriggerFailed",
    "Unfinished",
]

# Imported when first used: pytest loads the plugin of this package in every project
_MODULE_OF = {
    "CallRecord": "traffic",
    "FakeClock": "clock",
    "FakeTimer": "clock",
    "HttpAnswer": "http",
    "JobFailed": "failures",
    "MemoryEngine": "engine",
    "MemoryLink": "link",
    "MemoryWorker": "worker",
    "TestEngine": "kit",
    "TriggerFailed": "failures",
    "Unfinished": "failures",
}

if not TYPE_CHECKING:  # a checker knows the names

    def __getattr__(name: str) -> object:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module 'iii.testing' has no attribute {name!r}")
        from iii import first_use

        try:
            value = globals()[name] = first_use.attribute(f"iii.testing.{module}", name)
        except ImportError:
            from iii.installation import without_engine

            missing = without_engine()
            if missing is None:
                raise
            raise ImportError(f"iii.testing runs the engine: {missing}") from None
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
