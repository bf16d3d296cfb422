"""Every message of the worker protocol as a Struct (01 §5): its decoder, its validator and its documentation.

Direction: W→E a worker says it, E→W the engine says it. An optional member that is null is the same as an absent one
(01 §4); JSON that is only passed on stays `Raw`, bytes as they came.
"""

from typing import Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from iii.protocol.message import NULL, Message
from iii.protocol.observe_messages import (
    FunctionRegistered,
    InvocationsObserved,
    LocalInvocationStats,
    Observe,
    ObserverAck,
    ObserverAdded,
    ObserveResult,
    ObserverRemoved,
    ObserverStateChanged,
    Unobserve,
)

__all__ = ["NULL", "Message"]

# -- functions ----------------------------------------------------------------------------------------------------


class HmacAuth(Struct, tag_field="type", tag="hmac", frozen=True):
    secret_key: str  # name of an environment variable of the engine, as in the others


class BearerAuth(Struct, tag_field="type", tag="bearer", frozen=True):
    token_key: str


class ApiKeyAuth(Struct, tag_field="type", tag="api_key", frozen=True):
    header: str
    value_key: str


HttpMethod: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class HttpInvocation(Struct, frozen=True, omit_defaults=True):
    """How the engine calls an HTTP-invoked function itself."""

    url: str
    method: HttpMethod | None = None  # POST
    timeout_ms: int | None = None
    headers: dict[str, str] | None = None
    auth: HmacAuth | BearerAuth | ApiKeyAuth | None = None


class RegisterFunction(Message):
    """W→E: I serve this function (01 §5.1)."""

    id: str
    description: str | None = None
    request_format: Raw = NULL  # JSON Schema, or the format of 02 §7.2; stored verbatim
    response_format: Raw = NULL
    metadata: Raw = NULL
    invocation: HttpInvocation | None = None
    observe: Raw = NULL  # how it may be observed, as clients with `observe.v1` say it (21 §3)
    args_format: Raw = NULL  # the same with `observe.v2`: schema of what an observer gives along
    private: Raw = NULL
    observable: Raw = NULL


class UnregisterFunction(Message):
    """W→E (01 §5.2)."""

    id: str


class RegisterService(Message):
    """W→E, clients up to 0.11: bookkeeping only (01 §5.10)."""

    id: str
    name: str | None = None
    description: str | None = None
    parent_service_id: str | None = None


# -- triggers -----------------------------------------------------------------------------------------------------


class RegisterTriggerType(Message):
    """W→E: I provide this kind of event source (01 §5.3)."""

    id: str
    description: str | None = None
    trigger_request_format: Raw = NULL  # schema of `config`
    call_request_format: Raw = NULL  # schema of the payload handed to targets
    namespace: str | None = None  # absent: the connection's


class UnregisterTriggerType(Message):
    """W→E (01 §5.4)."""

    id: str
    namespace: str | None = None


class RegisterTrigger(Message):
    """W→E: bind this. E→W, to the provider: a binding of your type exists (01 §5.5)."""

    id: str
    trigger_type: str
    function_id: str
    config: Raw | UnsetType = UNSET  # Python clients leave a null out
    metadata: Raw = NULL
    namespace: str | None = None  # of the target function; absent is `default`, wherever the sender lives
    trigger_namespace: str | None = None  # of the provider; absent: the connection's first, then `default`


class UnregisterTrigger(Message):
    """W→E: drop this binding. E→W, to the provider (01 §5.6)."""

    id: str
    trigger_type: str | None = None


class TriggerRegistrationResult(Message):
    """Provider→E: acknowledgement or refusal. E→originator: refusals only (01 §5.7)."""

    id: str
    trigger_type: str
    function_id: str
    error: Raw = NULL


# -- invocations --------------------------------------------------------------------------------------------------


class Void(Struct, tag_field="type", tag="void", frozen=True):
    """No result is wanted."""


class Enqueue(Struct, tag_field="type", tag="enqueue", frozen=True, omit_defaults=True):
    """Through a named queue; the result is a receipt. All but the queue is ours: others' workers know only that."""

    queue: str
    delay_ms: int | None = None  # before the first delivery
    deduplication_id: str | None = None  # a second job with it is not accepted within the queue's window
    priority: int | None = None  # higher goes first, up to the queue's `max_priority`


class InvokeFunction(Message):
    """W→E: call this. E→W: run this; then `invocation_id` is always there (01 §5.8)."""

    function_id: str
    data: Raw = NULL  # forwarded as bytes; Python clients leave a null out (I1)
    invocation_id: str | None = None  # absent: no answer is wanted, not even an error (I3)
    traceparent: str | None = None
    baggage: str | None = None
    action: Void | Enqueue | None = None
    metadata: Raw = NULL
    namespace: str | None = None  # of the target; absent is `default`, wherever the caller lives
    timeout_ms: int | float | None = None  # W→E: after so long the answer is TIMEOUT (P7). E→W: only with `cancel.v1`
    caller: Raw = NULL  # who calls from within what (21 §8); this and the next two only from and to `observe.v1`
    observe_depth: Raw = NULL
    activation: Raw = NULL


class CancelInvocation(Message):
    """E→W, only to workers that announced `cancel.v1`: stop this, its result is not wanted (P11)."""

    invocation_id: str


class InvocationResult(Message):
    """W→E: it is done. E→W: here is your answer (01 §5.9)."""

    invocation_id: str
    function_id: str
    result: Raw = NULL
    error: Raw = NULL  # present and not null: the call failed, whatever `result` says
    traceparent: str | None = None
    baggage: str | None = None
    matched: Raw = NULL  # W→E, with `observe.v2`: the observers that it is for (21 §9)
    delivered: Raw = NULL


# -- connection ---------------------------------------------------------------------------------------------------


class Ping(Message):
    """W→E; answered with Pong. Not the WebSocket ping (01 §2.2)."""


class Pong(Message):
    """E→W."""


class Reattach(Message):
    """W→E, first message of a reconnect: retire my previous connection (01 §6.5)."""

    previous_worker_id: str
    reattach_token: str | None = None


class WorkerRegistered(Message):
    """E→W, always first on the socket (01 §3.1)."""

    worker_id: str
    reattach_token: str | None = None
    features: list[str] | None = None


class DrainWorker(Message):
    """E→W, only to workers that announced `drain.v1`: no further call comes; leave when what runs has ended (P12)."""

    timeout_ms: int  # then the engine ends the connection


class RegistrationRejected(Message):
    """E→W, since 0.23: somebody else holds the id or name (01 §5.11). Never a new code: clients die of it."""

    code: str
    namespace: str
    owner_worker_id: str
    worker_name: str | None = None
    function_id: str | None = None


WorkerMessage: TypeAlias = (
    InvokeFunction
    | InvocationResult
    | RegisterFunction
    | UnregisterFunction
    | RegisterService
    | RegisterTriggerType
    | UnregisterTriggerType
    | RegisterTrigger
    | UnregisterTrigger
    | TriggerRegistrationResult
    | Ping
    | Pong
    | Reattach
    | Observe
    | Unobserve
    | ObserverAck
    | InvocationsObserved
    | LocalInvocationStats
)
"""What a worker may say."""

EngineMessage: TypeAlias = (
    InvokeFunction
    | InvocationResult
    | CancelInvocation
    | RegisterTrigger
    | UnregisterTrigger
    | TriggerRegistrationResult
    | WorkerRegistered
    | DrainWorker
    | RegistrationRejected
    | Pong
    | ObserveResult
    | ObserverStateChanged
    | FunctionRegistered
    | ObserverAdded
    | ObserverRemoved
)
"""What the engine may say."""


class WorkerMetadata(Struct, omit_defaults=True):
    """Payload of the announcement, `engine::workers::register` (01 §6.1, 02 §6.2)."""

    runtime: str | None = None
    version: str | None = None
    name: str | None = None
    description: str | None = None
    os: str | None = None
    pid: int | None = None
    isolation: str | None = None
    namespace: str | None = None
    telemetry: dict[str, str | None] | None = None
    features: list[str] | None = None
