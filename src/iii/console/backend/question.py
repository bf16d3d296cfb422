"""One request to the backend, from a browser or from a caller of its function (23 §7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from iii.console.refusal import Refusal


class ConsoleQuestion(Struct, frozen=True):
    """Attributes:
    path, query: parameters, decoded.
    body: members of the body, as JSON; none where it has no object.
    whole: the body itself.
    """

    path: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    body: Mapping[str, Raw] = {}
    whole: bytes = b"{}"

    def text(self, name: str) -> str:
        """A text of the body. Raises Refusal."""
        found = self.optional_text(name)
        if not found:
            raise bad_input(f"Missing {name} in request")
        return found

    def optional_text(self, name: str) -> str | None:
        """Anything but a text is none."""
        raw = self.body.get(name)
        return str(msgspec.json.decode(raw)) if raw is not None and bytes(raw)[:1] == b'"' else None

    def parameter(self, name: str, missing: str) -> str:
        """Of the path. Raises Refusal."""
        found = self.path.get(name)
        if not found:
            raise bad_input(missing)
        return found

    def number(self, name: str, default: int) -> int:
        """A number of the body."""
        try:
            return msgspec.json.decode(self.body[name], type=int) if name in self.body else default
        except msgspec.MsgspecError:
            return default

    @property
    def include_internal(self) -> bool:
        """JSON true, or the text in any case."""
        return self.query.get("include_internal", "").lower() == "true"


def bad_input(text: str) -> Refusal:
    """As published."""
    return Refusal(500, f"Handler error: {text}")


class _Call(Struct):
    """What a function gets: a request as the HTTP module makes it, or the members themselves."""

    path_params: dict[str, Any] = {}
    query_params: dict[str, Any] = {}
    body: Raw = Raw(b"null")


_members = msgspec.json.Decoder(dict[str, Raw])


def members_of(body: bytes) -> dict[str, Raw]:
    """Of a JSON object; nothing else has any. Raises Refusal: it is not JSON."""
    if not body.strip():
        return {}
    try:
        return _members.decode(body)
    except msgspec.ValidationError:
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise Refusal(400, "the body is nested too deeply", "BAD_REQUEST") from None


def question_of(payload: bytes) -> ConsoleQuestion:
    """Of a direct call: members count wherever they stand. Raises Refusal."""
    top = members_of(payload)
    try:
        call = msgspec.json.decode(payload, type=_Call)
    except msgspec.MsgspecError:
        call = _Call()
    body = members_of(bytes(call.body))
    texts = {name: str(msgspec.json.decode(raw)) for name, raw in top.items() if bytes(raw)[:1] == b'"'}
    queried = {name: _text(value) for name, value in call.query_params.items()}
    if bytes(top.get("include_internal", b"")) == b"true":
        queried["include_internal"] = "true"
    whole = bytes(call.body) if body else payload
    return ConsoleQuestion(
        {**texts, **{name: str(value) for name, value in call.path_params.items()}}, queried, {**top, **body}, whole
    )


def _text(value: Any) -> str:
    """The first one of several."""
    if isinstance(value, list):
        value = value[0] if value else ""
    return "true" if value is True else str(value)
