"""Firing: an event happened, so the targets of its bindings are called (01 §7.9, T7)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from iii.protocol.limits import CONDITION_TIMEOUT_S

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.clock import Clock
    from iii.engine.router import Router
    from iii.protocol.errors import InvocationError

logger = logging.getLogger(__name__)


class _Conditional(msgspec.Struct):
    condition_function_id: str | None = None


_conditional = msgspec.json.Decoder(_Conditional)


def fire(router: Router, binding: Binding, payload: bytes) -> None:
    """Call the target, fire and forget, with the binding's metadata beside the payload."""
    router.call(binding.function_id, binding.namespace, payload, metadata=binding.metadata)


def fire_if(router: Router, clock: Clock, binding: Binding, payload: bytes) -> None:
    """As `fire`, for trigger types with conditions: only JSON `false` and an error keep the target from being called.

    The condition gets the same payload in the same namespace, without metadata, and has 30 s (T7).
    """
    condition = condition_of(binding)
    if condition is None:
        fire(router, binding, payload)
        return

    def decided(result: bytes | None, error: InvocationError | None) -> None:
        timer.cancel()
        if error is not None:
            logger.warning("Trigger %s skipped: its condition %s failed: %s", binding.id, condition, error)
        elif result != b"false":
            fire(router, binding, payload)

    def overdue() -> None:
        invocation.withdraw()
        logger.warning(
            "Trigger %s skipped: its condition %s took longer than %g s", binding.id, condition, CONDITION_TIMEOUT_S
        )

    timer = clock.call_at(clock.now() + CONDITION_TIMEOUT_S, overdue)
    invocation = router.call(condition, binding.namespace, payload, decided)


def condition_of(binding: Binding) -> str | None:
    """`condition_function_id` of the binding's config, if it names one."""
    try:
        return _conditional.decode(binding.config).condition_function_id
    except msgspec.DecodeError:
        return None
