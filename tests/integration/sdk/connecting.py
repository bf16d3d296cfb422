"""How workers of these tests connect."""

from collections.abc import Callable

import iii

FAST = iii.ReconnectionConfig(initial_delay_ms=10, max_delay_ms=50, jitter_factor=0)


Connect = Callable[..., iii.Worker]
