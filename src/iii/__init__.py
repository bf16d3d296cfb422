"""Workers register functions, call each other through one engine, and can be discovered and monitored: the worker SDK."""

from typing import TYPE_CHECKING

from iii import first_use
from iii.installation import check_this

check_this()

if TYPE_CHECKING:
    from iii.protocol.errors import (
        ClientShutdown,
        FunctionNotFound,
        InvalidRequest,
        InvalidResult,
        InvocationCancelled,
        InvocationError,
        InvocationForbidden,
        InvocationStopped,
        InvocationTimeout,
        PayloadTooLarge,
    )
    from iii.protocol.messages import ApiKeyAuth, BearerAuth, HmacAuth
    from iii.protocol.messages import HttpInvocation as HttpInvocationConfig
    from iii.sdk.app import App
    from iii.sdk.channels import Channel, ChannelError, ChannelReader, ChannelWriter
    from iii.sdk.connecting import connect_worker, register_worker
    from iii.sdk.dependency import Dependency
    from iii.sdk.http_messages import HttpRequest, HttpResponse, StreamResponse
    from iii.sdk.http_parameters import Body, Header, Query
    from iii.sdk.invocation import Invocation, current_invocation
    from iii.sdk.log_handler import LogHandler
    from iii.sdk.logger import Logger
    from iii.sdk.observed import Observed, ObservedCaller, ObservedError
    from iii.sdk.observer import Observer, ObserverRefused
    from iii.sdk.observer_declaration import ObserveOptions
    from iii.sdk.options import InitOptions, OtelConfig, ReconnectionConfig, TelemetryOptions, TlsOptions
    from iii.sdk.providers import TriggerConfig, TriggerHandler
    from iii.sdk.receipt import EnqueueResult, JobNotDone, JobStatus
    from iii.sdk.refs import FunctionRef, StreamChannelRef, Trigger, TriggerTypeRef
    from iii.sdk.rejection import DeclarationRefused, RegistrationRejected
    from iii.sdk.requests import TriggerAction, TriggerRequest
    from iii.sdk.rows import FunctionInfo, TriggerInfo, WorkerInfo, WorkerMetrics, WorkerStatistics
    from iii.sdk.shared_data import StateEvent, StateScope, StreamChange, StreamEvent, StreamGroup, Updated
    from iii.sdk.started_call import Call
    from iii.sdk.state import ConnectionState
    from iii.sdk.streams import Stream, StreamItemInput, StreamListGroupsInput, StreamListInput, StreamSetInput
    from iii.sdk.update_op import UpdateOp
    from iii.sdk.worker import Worker

    __version__: str

__all__ = [
    "ApiKeyAuth",
    "App",
    "BearerAuth",
    "Body",
    "Call",
    "Channel",
    "ChannelError",
    "ChannelReader",
    "ChannelWriter",
    "ClientShutdown",
    "ConnectionState",
    "DeclarationRefused",
    "Dependency",
    "EnqueueResult",
    "FunctionInfo",
    "FunctionNotFound",
    "FunctionRef",
    "Header",
    "HmacAuth",
    "HttpInvocationConfig",
    "HttpRequest",
    "HttpResponse",
    "InitOptions",
    "InvalidRequest",
    "InvalidResult",
    "Invocation",
    "InvocationCancelled",
    "InvocationError",
    "InvocationForbidden",
    "InvocationStopped",
    "InvocationTimeout",
    "JobNotDone",
    "JobStatus",
    "LogHandler",
    "Logger",
    "ObserveOptions",
    "Observed",
    "ObservedCaller",
    "ObservedError",
    "Observer",
    "ObserverRefused",
    "OtelConfig",
    "PayloadTooLarge",
    "Query",
    "ReconnectionConfig",
    "RegistrationRejected",
    "StateEvent",
    "StateScope",
    "Stream",
    "StreamChange",
    "StreamChannelRef",
    "StreamEvent",
    "StreamGroup",
    "StreamItemInput",
    "StreamListGroupsInput",
    "StreamListInput",
    "StreamResponse",
    "StreamSetInput",
    "TelemetryOptions",
    "TlsOptions",
    "Trigger",
    "TriggerAction",
    "TriggerConfig",
    "TriggerHandler",
    "TriggerInfo",
    "TriggerRequest",
    "TriggerTypeRef",
    "UpdateOp",
    "Updated",
    "Worker",
    "WorkerInfo",
    "WorkerMetrics",
    "WorkerStatistics",
    "connect_worker",
    "current_invocation",
    "register_worker",
]

# Imported when first used: the command line starts without them
_MODULES = {
    "iii.protocol.errors": (
        "ClientShutdown",
        "FunctionNotFound",
        "InvalidRequest",
        "InvalidResult",
        "InvocationCancelled",
        "InvocationError",
        "InvocationForbidden",
        "InvocationStopped",
        "InvocationTimeout",
        "PayloadTooLarge",
    ),
    "iii.protocol.messages": (
        "ApiKeyAuth",
        "BearerAuth",
        "HmacAuth",
        "HttpInvocationConfig",
    ),
    "iii.protocol.versions": ("__version__",),
    "iii.sdk.app": ("App",),
    "iii.sdk.channels": (
        "Channel",
        "ChannelError",
        "ChannelReader",
        "ChannelWriter",
    ),
    "iii.sdk.dependency": ("Dependency",),
    "iii.sdk.connecting": (
        "connect_worker",
        "register_worker",
    ),
    "iii.sdk.http_messages": (
        "HttpRequest",
        "HttpResponse",
        "StreamResponse",
    ),
    "iii.sdk.http_parameters": (
        "Body",
        "Header",
        "Query",
    ),
    "iii.sdk.invocation": (
        "Invocation",
        "current_invocation",
    ),
    "iii.sdk.log_handler": ("LogHandler",),
    "iii.sdk.logger": ("Logger",),
    "iii.sdk.observed": (
        "Observed",
        "ObservedCaller",
        "ObservedError",
    ),
    "iii.sdk.observer": (
        "Observer",
        "ObserverRefused",
    ),
    "iii.sdk.observer_declaration": ("ObserveOptions",),
    "iii.sdk.options": (
        "InitOptions",
        "OtelConfig",
        "ReconnectionConfig",
        "TelemetryOptions",
        "TlsOptions",
    ),
    "iii.sdk.providers": (
        "TriggerConfig",
        "TriggerHandler",
    ),
    "iii.sdk.receipt": (
        "EnqueueResult",
        "JobNotDone",
        "JobStatus",
    ),
    "iii.sdk.refs": (
        "FunctionRef",
        "StreamChannelRef",
        "Trigger",
        "TriggerTypeRef",
    ),
    "iii.sdk.rejection": (
        "DeclarationRefused",
        "RegistrationRejected",
    ),
    "iii.sdk.requests": (
        "TriggerAction",
        "TriggerRequest",
    ),
    "iii.sdk.rows": (
        "FunctionInfo",
        "TriggerInfo",
        "WorkerInfo",
        "WorkerMetrics",
        "WorkerStatistics",
    ),
    "iii.sdk.shared_data": (
        "StateEvent",
        "StateScope",
        "StreamChange",
        "StreamEvent",
        "StreamGroup",
        "Updated",
    ),
    "iii.sdk.started_call": ("Call",),
    "iii.sdk.state": ("ConnectionState",),
    "iii.sdk.streams": (
        "Stream",
        "StreamItemInput",
        "StreamListGroupsInput",
        "StreamListInput",
        "StreamSetInput",
    ),
    "iii.sdk.update_op": ("UpdateOp",),
    "iii.sdk.worker": ("Worker",),
}
_OTHER_NAMES = {
    "HttpInvocationConfig": "HttpInvocation",
    "__version__": "PACKAGE_VERSION",
}  # as the module calls what is documented otherwise
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # a checker knows the names, and should say when one is not among them

    def __getattr__(name: str) -> object:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module 'iii' has no attribute {name!r}")
        value = globals()[name] = first_use.attribute(module, _OTHER_NAMES.get(name, name))
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
