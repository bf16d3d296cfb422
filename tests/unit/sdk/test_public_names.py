"""The names that users import, frozen: adding one is a decision, removing one breaks somebody (O15)."""

import subprocess
import sys

import pytest

import iii
from iii.protocol.versions import PACKAGE_VERSION

NAMES = [
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


def test_the_public_names_are_frozen() -> None:
    assert sorted(iii.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(iii))
    for name in NAMES:
        assert getattr(iii, name) is not None
    assert iii.__version__ == PACKAGE_VERSION  # newcomer M18
    with pytest.raises(AttributeError, match="module 'iii' has no attribute 'III'"):
        iii.III  # type: ignore[attr-defined]  # noqa: B018


def imported_by(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_importing_iii_imports_hardly_anything() -> None:
    modules = imported_by("import iii")
    assert not modules & {"asyncio", "picows", "msgspec", "pydantic", "opentelemetry", "psutil", "logging"}


def test_a_worker_needs_neither_pydantic_nor_opentelemetry() -> None:
    modules = imported_by("from iii import register_worker, connect_worker, Worker, InitOptions, Logger")
    assert not modules & {"pydantic", "opentelemetry", "psutil"}


def test_handlers_without_pydantic_do_not_import_it() -> None:
    modules = imported_by(
        "from iii.sdk.typed import typed\nfrom iii.sdk.schema import schema\nimport dataclasses\n"
        "@dataclasses.dataclass\nclass P:\n    x: int\n"
        "schema(typed(P)); typed(P).from_json(b'{\"x\":1}')"
    )
    assert "pydantic" not in modules
