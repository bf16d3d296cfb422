"""Asks the modules of the engine what they measure (16 §1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement

if TYPE_CHECKING:
    from iii.engine.registry import Installed

NOT_MEASURED = LogEvent(
    __name__, "metrics.not_measured", logging.WARNING, "Metrics of a module left out: it did not tell them in time",
    means="A store or a broker is slow, or the engine itself failed; `reason` says which.",
    do="Look at the disk or the broker of the module. Without a time-out in `reason`, report it with its stack trace.",
)  # fmt: skip

ANSWER_S = 3.0  # Longest wait of a scrape for what one module measures; its metrics are left out then.


class Measuring:
    """All modules at the same time."""

    def __init__(self, modules: Sequence[Installed]) -> None:
        self._modules = modules

    async def measured(self) -> list[Measurement]:
        """By module, in their order."""
        answers = await asyncio.gather(*[_ask(module) for module in self._modules])
        return [measurement for answer in answers for measurement in answer]


async def _ask(module: Installed) -> Sequence[Measurement]:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await module.measurements()
    except TimeoutError:
        NOT_MEASURED(module=module.instance, reason=f"no answer within {ANSWER_S:g} s")
    except Exception as error:
        NOT_MEASURED(error, module=module.instance, reason=str(error) or type(error).__name__)
    return ()
