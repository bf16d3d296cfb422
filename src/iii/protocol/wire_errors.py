"""Errors as they come over the wire: whatever shape an executor's error object has (01 §4, 08 §8)."""

import msgspec

from iii.protocol import errors
from iii.protocol.errors import ErrorBody, ErrorCode, InvocationError
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import KIB

UNKNOWN = ErrorCode(
    "UNKNOWN",
    means="A call failed with something that is not an error object, or without a code.",
    do="Let the worker that runs the function answer with `{code, message}`.",
    retry="if it may run twice",
)

_CODES_WITH_A_CLASS: dict[str, type[InvocationError]] = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, InvocationError)
}


def error_from_wire(raw: object, function_id: str | None = None, invocation_id: str | None = None) -> InvocationError:
    """The exception for a decoded `error` member, whatever shape it has (08 §8).

    A known code gives its class, so `except FunctionNotFound` works across the wire; anything else that is not the
    standard shape has code `UNKNOWN`.
    """
    code, message, stacktrace = UNKNOWN.code, "", None
    if not isinstance(raw, dict):
        message = str(raw)
    else:
        found_code, found_message, found_trace = raw.get("code"), raw.get("message"), raw.get("stacktrace")
        code = found_code if isinstance(found_code, str) else UNKNOWN.code
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
