"""What a caller can be told: one exception class per situation, one wire code each (00 §4.1).

InvocationError
├── FunctionNotFound          function_not_found
├── InvocationStopped         invocation_stopped
├── ConnectionClosing         channel_send_failed
├── InvalidRequest            invalid_request
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

import msgspec
from msgspec import UNSET, Struct, UnsetType

from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import KIB


class ErrorBody(Struct, frozen=True):
    """The error object of results (01 §5.12)."""

    code: str
    message: str
    stacktrace: str | UnsetType = UNSET


_encoder = msgspec.json.Encoder()


class InvocationError(Exception):
    """A call failed; reaches the caller as `{code, message}`.

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


def error_id_of(invocation_id: str) -> str:
    """Under which a failed call is found in the logs of engine and worker: at most 12 hexadecimal digits (03 §A8)."""
    return invocation_id.replace("-", "")[:12].lower()


class FunctionNotFound(InvocationError):
    """No worker serves the id in that namespace (clients may rely on the first words)."""

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
    """The executor or the caller disconnected while the call ran."""

    code = "invocation_stopped"

    def __init__(self) -> None:
        super().__init__(message="Invocation stopped")


class ConnectionClosing(InvocationError):
    """The call or result was not sent: the receiver's connection is being ended, or it reads too slowly."""

    code = "channel_send_failed"

    def __init__(self, why: str = "channel closed") -> None:
        super().__init__(message=why)


class InvalidRequest(InvocationError):
    """A call, or a payload, that cannot be decoded."""

    code = "invalid_request"

    def __init__(self, detail: str) -> None:
        super().__init__(message=detail)


class PayloadTooLarge(InvocationError):
    """The message is larger than its receiver accepts."""

    code = "payload_too_large"

    def __init__(self, size: int, limit: int, function_id: str | None = None, invocation_id: str | None = None) -> None:
        super().__init__(
            message=f"Serialized JSON envelope is {size} bytes; limit is {limit} bytes. Use channels for large data.",
            function_id=function_id,
            invocation_id=invocation_id,
        )


class BlankNamespace(InvocationError):
    """A namespace was named and left blank."""

    code = "INVALID_NAMESPACE"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)

    @classmethod
    def of_field(cls, field: str) -> "BlankNamespace":
        return cls(f"`{field}` is empty: it was named and left blank. Give it a name, or omit it to use `default`.")


class InvocationForbidden(InvocationError):
    """The caller may not do this."""

    code = "FORBIDDEN"


class InvocationTimeout(InvocationError, TimeoutError):
    """The caller's wait ended; the handler may still be running."""

    code = "TIMEOUT"

    def __init__(self, timeout_ms: int, function_id: str | None = None, invocation_id: str | None = None) -> None:
        super().__init__(
            message=f"invocation timed out after {timeout_ms}ms", function_id=function_id, invocation_id=invocation_id
        )


class InvocationCancelled(InvocationError):
    """The caller cancelled the call; an async handler is stopped, a sync one may still be running."""

    code = "CANCELLED"

    def __init__(self, function_id: str | None = None, invocation_id: str | None = None) -> None:
        super().__init__(message="invocation was cancelled", function_id=function_id, invocation_id=invocation_id)


class ClientShutdown(InvocationError):
    """The worker client was shut down while the call was pending."""

    code = "SHUTDOWN"

    def __init__(self, function_id: str | None = None, invocation_id: str | None = None) -> None:
        super().__init__(message="iii is shutting down", function_id=function_id, invocation_id=invocation_id)


class DeserializationFailed(InvocationError):
    """A builtin's input does not fit."""

    code = "deserialization_error"

    def __init__(self, function_id: str, detail: str) -> None:
        super().__init__(message=f"Failed to deserialize input for {function_id}: {detail}", function_id=function_id)


class SerializationFailed(InvocationError):
    """A builtin's result cannot be encoded."""

    code = "serialization_error"

    def __init__(self, function_id: str, detail: str) -> None:
        super().__init__(message=f"Failed to serialize result for {function_id}: {detail}", function_id=function_id)


class TriggerRegistrationFailed(InvocationError):
    """A provider refused a binding."""

    code = "trigger_registration_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class UnregisterFailed(InvocationError):
    """A provider failed to let a binding go."""

    code = "unregister_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class ItemNotFound(InvocationError):
    """Discovery was asked about something that is not there."""

    code = "NOT_FOUND"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class InvalidArguments(InvocationError):
    """Arguments that contradict each other or miss each other."""

    code = "INVALID_ARGUMENTS"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class EnqueueFailed(InvocationError):
    """A job was not accepted."""

    code = "enqueue_error"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


NO_QUEUE_PROVIDER = (
    "No queue provider is installed. `TriggerAction::Enqueue` routes through the `engine::queue::enqueue` provider, "
    "which the iii-queue module or a standalone queue worker registers. Add `- name: iii-queue` to the engine's config "
    "(other distributions: `iii worker add queue`)."
)

_CODES_WITH_A_CLASS: dict[str, type[InvocationError]] = {}


def _classes(base: type[InvocationError]) -> None:
    for subclass in base.__subclasses__():
        _CODES_WITH_A_CLASS[subclass.code] = subclass
        _classes(subclass)


_classes(InvocationError)


def error_from_wire(raw: object, function_id: str | None = None, invocation_id: str | None = None) -> InvocationError:
    """The exception for a decoded `error` member, whatever shape it has (08 §8).

    A known code gives its class, so `except FunctionNotFound` works across the wire; anything else that is not the
    standard shape has code `UNKNOWN`.
    """
    code, message, stacktrace = "UNKNOWN", "", None
    if not isinstance(raw, dict):
        message = str(raw)
    else:
        found_code, found_message, found_trace = raw.get("code"), raw.get("message"), raw.get("stacktrace")
        code = found_code if isinstance(found_code, str) else "UNKNOWN"
        message = found_message if isinstance(found_message, str) else "<no message>"
        stacktrace = found_trace if isinstance(found_trace, str) else None
    kind = _CODES_WITH_A_CLASS.get(code, InvocationError)
    error = kind.__new__(kind)
    InvocationError.__init__(error, code, message, function_id, stacktrace, invocation_id)
    return error


def encode_error(raw: bytes) -> bytes:
    """An executor's error object as it is passed on: verbatim if well formed, else wrapped as `UNKNOWN`.

    Rust and Go callers decode strictly and would lose a malformed one, and with it their answer (01 §4).
    """
    try:
        _error_decoder.decode(raw)
    except BAD_JSON:
        return error_from_text(raw).encode()
    return raw


def error_from_text(raw: bytes, function_id: str | None = None, invocation_id: str | None = None) -> InvocationError:
    """The same as `error_from_wire` for JSON text, whatever is in it: no objects are made of large ones but their texts."""
    try:
        body = _error_decoder.decode(raw)
    except BAD_JSON:
        try:
            sent = (
                msgspec.json.decode(raw)
                if len(raw) <= _MALFORMED_BYTES
                else raw[:_SHOWN_BYTES].decode(errors="replace")
            )
        except BAD_JSON:  # such as a number beyond a double
            sent = raw[:_SHOWN_BYTES].decode(errors="replace")
    else:
        sent = msgspec.to_builtins(body)
    return error_from_wire(sent, function_id, invocation_id)


def bounded_error(raw: bytes, characters: int) -> bytes:
    """The same for an error object of any size, with its texts cut."""
    error = error_from_text(raw)
    for name in ("code", "message", "stacktrace"):
        text = getattr(error, name)
        if text is not None and len(text) > characters:
            setattr(error, name, f"{text[:characters]}… ({len(text)} characters)")
    return error.encode()


_MALFORMED_BYTES = 64 * KIB  # of an error object that is not one and is decoded all the same
_SHOWN_BYTES = 1 * KIB  # of one that is not

_error_decoder = msgspec.json.Decoder(ErrorBody)
