"""Whether the engine does what it is for: what load balancers and supervisors ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from iii.engine.listeners import Listeners

if TYPE_CHECKING:
    from iii.engine.registry import Installed

_REFUSES = "the store refuses writes until the engine is restarted"


class Readiness:
    """Attributes:
    started: all modules run.
    begun: told when that is so.
    stopping: an orderly stop has begun.
    """

    def __init__(self, modules: Iterable[Installed]) -> None:
        self._modules = modules
        self.started = False
        self.begun: Listeners[[]] = Listeners()
        self.stopping = False

    def begin(self) -> None:
        """All modules run now."""
        self.started = True
        self.begun()

    def why_not(self) -> str | None:
        """Names no path, no setting and no data: anybody may read it. None: the engine is ready."""
        if self.stopping:
            return "stopping"
        if not self.started:
            return "starting"
        unwell = [module.instance for module in self._modules if module.unwell]
        return f"not well: {', '.join(unwell)}" if unwell else None

    def says(self, well: str) -> str:
        """This word, and which modules miss another engine: for those who may not know more."""
        missing = [module.instance for module in self._modules if module.disconnected is not None]
        return f"{well}; degraded: {', '.join(missing)}" if missing else well

    def degraded(self) -> dict[str, str]:
        """Modules that cannot do all that they are for, and why; for those who may know addresses."""
        reasons = {module.instance: _REFUSES if module.unwell else module.disconnected for module in self._modules}
        return {name: reason for name, reason in reasons.items() if reason is not None}
