"""What a caller can be told: each code is declared once, as a class or as an ErrorCode beside its users (00 §4.1).

The reference page of errors is made from the declarations (docs/generator/errors_page.py).

InvocationError
├── FunctionNotFound          function_not_found
├── InvocationStopped         invocation_stopped
├── ConnectionClosing         channel_send_failed
├── InvalidRequest            invalid_request
├── InvalidResult             invalid_result
├── PayloadTooLarge           payload_too_large
├── BlankNamespace            INVALID_NAMESPACE
├── InvocationForbidden       FORBIDDEN
├── InvocationTimeout         TIMEOUT (also a TimeoutError)
├── InvocationCancelled       CANCELLED
├── ClientShutdown            SHUTDOWN
├── DeserializationFailed     deserialization_error
├── SerializationFailed       serialization_error
├── TriggerRegistrationFailed trigger_registration_failed
├── UnregisterFailed          unregister_failed
├── ItemNotFound              NOT_FOUND
├── InvalidArguments          INVALID_ARGUMENTS
└── EnqueueFailed             enqueue_error
"""

from collections.abc import Collection
from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

Retry: TypeAlias = Literal["no", "later", "if it may run twice"]
"""Whether the same call may succeed: never, since nothing about it will change; later; or later, but it may have been done already."""


class ErrorBody(Struct, frozen=True):
    """The error object of results."""

    code: str
    message: str
    stacktrace: str | UnsetType = UNSET


_encoder = msgspec.json.Encoder()


class InvocationError(Exception):
    """A call failed; reaches the caller as `{code, message}`.

    Do: look for `error_id` in the log of the worker: its handler raised an exception that is not an InvocationError.
    Retry: if it may run twice.

    Attributes:
        code: machine-readable reason, promised.
        message: text for people.
        function_id, invocation_id: the call, where known.
        stacktrace: the executor's, where it sent one; never part of `str()`.
    """

    code = "invocation_failed"

    def __init__(
        self,
        code: str | None = None,
        message: str = "",
        function_id: str | None = None,
        stacktrace: str | None = None,
        invocation_id: str | None = None,
    ) -> None:
        if code is not None:
            self.code = code
        self.message = message
        self.function_id = function_id
        self.stacktrace = stacktrace
        self.invocation_id = invocation_id
        super().__init__(f"{self.code}: {message}")

    @property
    def error_id(self) -> str | None:
        """Under which a function's own failure is in the logs of engine and worker; None where none was called."""
        return None if self.invocation_id is None else error_id_of(self.invocation_id)

    def encode(self) -> bytes:
        """The error object as JSON."""
        return _encoder.encode(ErrorBody(self.code, self.message, self.stacktrace or UNSET))


class ErrorCode(Struct, frozen=True):
    """A code without a class of its own. Calling it makes the error.

    Attributes:
        code: promised, never changed.
        means, do: for the reference: what has happened, and what a caller or an operator does about it.
        retry: whether the same call may succeed.
        status: of an HTTP response that the engine makes with it; None: it is the code of a failed call.
    """

    code: str
    means: str
    do: str
    retry: Retry = "no"
    status: int | None = None

    def __call__(self, message: str) -> InvocationError:
        return InvocationError(self.code, message)


def error_id_of(invocation_id: str) -> str:
    """Under which a failed call is found in the logs of engine and worker: at most 12 hexadecimal digits (03 §A8)."""
    return invocation_id.replace("-", "")[:12].lower()


class FunctionNotFound(InvocationError):
    """No worker serves the id in that namespace (clients may rely on the first words).

    Do: start the worker that registers the function, or correct id or namespace.
    Retry: later.
    """

    code = "function_not_found"

    def __init__(
        self, function_id: str, namespace: str, elsewhere: Collection[str] = (), refused: str | None = None
    ) -> None:
        hint = f" It is registered in namespace(s): {', '.join(sorted(elsewhere))}." if elsewhere else ""
        if refused is not None:
            hint = f"{hint} Its registration was refused: {refused}."
        super().__init__(
            message=f"Function {function_id} not found in namespace {namespace}.{hint}", function_id=function_id
        )


class InvocationStopped(InvocationError):
    """The executor or the caller disconnected while the call ran.

    Do: find out in the log why the worker left; drain workers before they are stopped.
    Retry: if it may run twice.
    """

    code = "invocation_stopped"

    def __init__(self) -> None:
        super().__init__(message="Invocation stopped")


class ConnectionClosing(InvocationError):
    """The call or result was not sent: the receiver's connection is being ended, or it reads too slowly.

    Do: see the log for `connection.*` events of that worker; add copies if it is overloaded.
    Retry: later.
    """

    code = "channel_send_failed"

    def __init__(self, why: str = "channel closed") -> None:
        super().__init__(message=why)


class InvalidRequest(InvocationError):
    """A call, or a payload, that cannot be decoded.

    Do: correct what the message names.
    Retry: no.
    """

    code = "invalid_request"

    def __init__(self, detail: str) -> None:
        super().__init__(message=detail)


class InvalidResult(InvocationError):
    """The function ran, but its result is not of the type that the caller named with `returns`, or has a number that Python cannot hold.

    Do: correct the type or the function; the message names the path of the value.
    Retry: no.
    """

    code = "invalid_result"

    def __init__(self, function_id: str, expected: str, detail: str, invocation_id: str | None = None) -> None:
        super().__init__(
            message=f"the result of {function_id} is not {expected}: {detail}",
            function_id=function_id,
            invocation_id=invocation_id,
        )
        self.detail = detail


class PayloadTooLarge(InvocationError):
    """The message is larger than its receiver accepts.

    Do: send less, or send the data through a channel.
    Retry: no.
    """

    code = "payload_too_large"

    def __init__(self, size: int, limit: int, function_id: str | None = None, invocation_id: str | None = None) -> None:
        super().__init__(
            message=f"Serialized JSON envelope is {size} bytes; limit is {limit} bytes. Use channels for large data.",
            function_id=function_id,
            invocation_id=invocation_id,
        )


class BlankNamespace(InvocationError):
    """A namespace was named and left blank.

    Do: give the namespace a name, or leave the member out.
    Retry: no.
    """

    code = "INVALID_NAMESPACE"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)

    @classmethod
    def of_field(cls, field: str) -> "BlankNamespace":
        return cls(f"`{field}` is empty: it was named and left blank. Give it a name, or omit it to use `default`.")


class InvocationForbidden(InvocationError):
    """The caller may not do this.

    Do: let the worker that owns the id do it.
    Retry: no.
    """

    code = "FORBIDDEN"


class InvocationTimeout(InvocationError, TimeoutError):
    """The caller's wait ended; the handler may still be running.

    Do: give the call a longer time-out, or make the function faster.
    Retry: if it may run twice.
    """

    code = "TIMEOUT"

    def __init__(
        self, timeout_ms: int, function_id: str | None = None, invocation_id: str | None = None, *, why: str = ""
    ) -> None:
        message = f"invocation timed out after {timeout_ms}ms"
        super().__init__(
            message=f"{message}: {why}" if why else message, function_id=function_id, invocation_id=invocation_id
        )


class InvocationCancelled(InvocationError):
    """The caller cancelled the call; an async handler is stopped, a sync one may still be running.

    Do: nothing, if the call was to be cancelled.
    Retry: if it may run twice.
    """

    code = "CANCELLED"

    def __init__(self, function_id: str | None = None, invocation_id: str | None = None) -> None:
        super().__init__(message="invocation was cancelled", function_id=function_id, invocation_id=invocation_id)


class ClientShutdown(InvocationError):
    """The worker client was shut down while the call was pending.

    Do: wait for calls before `shutdown()`.
    Retry: if it may run twice.
    """

    code = "SHUTDOWN"

    def __init__(self, function_id: str | None = None, invocation_id: str | None = None) -> None:
        super().__init__(message="iii is shutting down", function_id=function_id, invocation_id=invocation_id)


class DeserializationFailed(InvocationError):
    """A builtin's input does not fit.

    Do: correct the member that the message names; the members are in the reference of functions.
    Retry: no.
    """

    code = "deserialization_error"

    def __init__(self, function_id: str, detail: str) -> None:
        super().__init__(message=f"Failed to deserialize input for {function_id}: {detail}", function_id=function_id)


class SerializationFailed(InvocationError):
    """A builtin's result cannot be encoded.

    Do: report it: the engine made a result that is not JSON.
    Retry: no.
    """

    code = "serialization_error"

    def __init__(self, function_id: str, detail: str) -> None:
        super().__init__(message=f"Failed to serialize result for {function_id}: {detail}", function_id=function_id)


class TriggerRegistrationFailed(InvocationError):
    """A provider refused a binding.

    Do: correct the configuration of the trigger as the message says.
    Retry: no.
    """

    code = "trigger_registration_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class UnregisterFailed(InvocationError):
    """A provider failed to let a binding go.

    Do: see the log of the provider; the trigger is still registered.
    Retry: later.
    """

    code = "unregister_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class ItemNotFound(InvocationError):
    """Discovery was asked about something that is not there.

    Do: correct the id, or start the worker that registers it.
    Retry: later.
    """

    code = "NOT_FOUND"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class InvalidArguments(InvocationError):
    """Arguments that contradict each other or miss each other.

    Do: correct the arguments that the message names.
    Retry: no.
    """

    code = "INVALID_ARGUMENTS"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class EnqueueFailed(InvocationError):
    """A job was not accepted.

    Do: do as the message says: name a queue that is configured, or list `iii-queue` in the configuration.
    Retry: later.
    """

    code = "enqueue_error"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


NO_QUEUE_PROVIDER = (
    "No queue provider is installed. `TriggerAction::Enqueue` routes through the `engine::queue::enqueue` provider, "
    "which the iii-queue module or a standalone queue worker registers. Add `- name: iii-queue` to the engine's config "
    "(other distributions: `iii worker add queue`)."
)

# Of publishing, durably or not: two modules have them
TOPIC_NOT_SET = ErrorCode(
    "topic_not_set",
    means="A message was published without a topic.",
    do="Name a topic.",
)
PUBLISH_FAILED = ErrorCode(
    "publish_failed",
    means="A message was not accepted: the store or server of the adapter failed, or the topic has more than 255 characters.",
    do="Do as the message says; see the log for `store.*` and `redis.*` events.",
    retry="later",
)
