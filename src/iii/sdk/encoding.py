"""Python values to JSON, in one pass with the message around them (08 §5).

Besides plain values: Structs, dataclasses, enums, tuples, dates inside other values, and pydantic models by alias.
"""

import json
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from iii.protocol.errors import PayloadTooLarge
from iii.protocol.limits import INBOUND_MESSAGE_BYTES
from iii.protocol.messages import InvokeFunction, Message
from iii.sdk.channels import ChannelEnd

_NOT_JSON = (bytes, bytearray, memoryview, set, frozenset, date, time, timedelta, Decimal, complex)


def to_plain(value: Any) -> Any:
    """What the encoder asks for an object it does not know. Raises TypeError."""
    if isinstance(value, ChannelEnd):
        return value.ref
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json", by_alias=True)
    raise not_serializable(value)


def not_serializable(value: object) -> TypeError:
    return TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def is_plain_json(value: object) -> bool:
    """Whether JSON has such a value; a bare date or set is a mistake unless an annotation says it is meant."""
    return not isinstance(value, _NOT_JSON)


_encode = msgspec.json.Encoder(enc_hook=to_plain).encode


def encode_outgoing(message: Message) -> bytes:
    """One message, checked against what the engine takes.

    Raises:
        TypeError: a value has no JSON form. PayloadTooLarge: over 64 MiB.
    """
    try:
        encoded = _encode(message)
    except UnicodeEncodeError:
        # a lone surrogate, which JSON can carry as an escape
        encoded = json.dumps(msgspec.to_builtins(message, enc_hook=to_plain)).encode()
    if len(encoded) > INBOUND_MESSAGE_BYTES:
        call = message if isinstance(message, InvokeFunction) else None
        raise PayloadTooLarge(
            len(encoded),
            INBOUND_MESSAGE_BYTES,
            call.function_id if call is not None and call.invocation_id else None,
            call.invocation_id if call is not None else None,
        )
    return encoded
