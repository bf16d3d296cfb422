"""The module every engine has: announcements and discovery (02)."""

from __future__ import annotations

from msgspec import Raw, Struct

from iii.engine.builtin import builtin
from iii.engine.dialect import Discovery
from iii.engine.invocation import Invocation
from iii.engine.module import Module
from iii.engine.worker_info import read_announcement
from iii.protocol.errors import DeserializationFailed
from iii.protocol.names import REGISTER_WORKER


class AnnouncementResult(Struct):
    """Whether the worker may stay under its name (01 §6.1)."""

    success: bool


class EngineFunctionsConfig(Struct, frozen=True, kw_only=True):
    """Block of `iii-engine-functions`.

    Attributes:
        discovery_dialect: shape of lists for callers that have not said who they are (W3).
    """

    discovery_dialect: Discovery = "legacy"


class EngineFunctions(Module):
    Config = EngineFunctionsConfig

    name = "iii-engine-functions"
    description = "Core engine introspection (engine::*) and platform authoring reference."
    mandatory = True

    @builtin(REGISTER_WORKER, spec="01 §6.1, 02 §6")
    def register_worker(self, request: Raw, invocation: Invocation) -> AnnouncementResult:
        """Announce a worker's name, runtime, version and namespace; its registrations apply from then on."""
        if invocation.caller is None:
            raise DeserializationFailed(REGISTER_WORKER, "missing field `_caller_worker_id`")
        return AnnouncementResult(invocation.caller.announce(read_announcement(bytes(request))))
