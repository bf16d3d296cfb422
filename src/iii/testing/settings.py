"""How a test engine is set up: what is wrong with it is raised where the test makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from iii.protocol.start_failure import StartFailure
from iii.protocol.suggestion import did_you_mean
from iii.server.block import decode_block
from iii.server.catalogue import by_name
from iii.server.document import FilePosition

RUN = ("iii-cron", "iii-http", "iii-observability", "iii-pubsub", "iii-queue", "iii-state", "iii-stream")
_SHOWN = 60


@dataclass(frozen=True)
class EngineSettings:
    """Of one test engine.

    Attributes:
        begins: the time of day at first.
        deadline_s: real seconds of one step.
        queues: settings of named queues.
        hold_jobs: whether jobs wait for the test.
        configs: of modules, by canonical name.
        folder: where stores are kept; None: nowhere.
    """

    begins: datetime
    deadline_s: float
    queues: Mapping[str, Mapping[str, Any]]
    hold_jobs: bool
    configs: Mapping[str, Struct]
    folder: Path | None

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not self.deadline_s > 0:
            raise ValueError(f"deadline_s must be positive, got {self.deadline_s!r}")


def module_configs(blocks: Mapping[str, Mapping[str, Any]]) -> dict[str, Struct]:
    """What stands under `config:` of a module in a configuration file, by the module's name. Raises ValueError."""
    configs: dict[str, Struct] = {}
    for name, block in blocks.items():
        row = by_name(name)
        if row is None or row.name not in RUN:
            hint = did_you_mean(name, RUN, ", did you mean '{}'?", f"; it runs {', '.join(RUN)}")
            raise ValueError(f"a test engine has no module '{name[:_SHOWN]}'{hint}")
        if "adapter" in block:
            raise ValueError(
                f"{row.name}: a test engine has no adapters: its stores are in memory, `folder` keeps them"
            )
        try:
            place = FilePosition("TestEngine", f"config['{name}']")
            configs[row.name] = decode_block(dict(block), row.config_type(), place, strict=True, warnings=[])
        except StartFailure as error:
            raise ValueError(str(error)) from None
    return configs
