"""The id of the calling worker inside a payload: the engine says who calls, never the client (01 §8.2, I10)."""

import msgspec
from msgspec import Raw

CALLER_KEY = b"_caller_worker_id"

_OPENING_BRACE, _QUOTE = b'{"'
_members = msgspec.json.Decoder(dict[str, Raw])
_json = msgspec.json.Encoder().encode


def caller_member(worker_id: str) -> bytes:
    """What signs a payload: a further member that names the caller, up to the closing brace."""
    return b',"_caller_worker_id":"%b"}' % worker_id.encode()


def sign(data: bytes, member: bytes) -> bytes:
    """A payload with its caller's id, overwriting what the client sent; only objects carry one.

    The id comes last, so that it also counts should a client have hidden another one behind escapes.
    """
    payload = unsigned(data)
    if payload[0] != _OPENING_BRACE:
        return payload
    if payload[1] == _QUOTE:
        return payload[:-1] + member
    inside = payload[1:-1].strip()
    return b"{%b%b" % (inside, member if inside else member[1:])


def unsigned(payload: bytes) -> bytes:
    """A payload without the caller's id that the client sent; itself if there is none."""
    if payload[0] == _OPENING_BRACE and payload.find(CALLER_KEY) >= 0:  # half the time of `in`
        members = _members.decode(payload)
        if members.pop(CALLER_KEY.decode(), None) is not None:
            return _json(members)
    return payload
