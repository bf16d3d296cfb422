"""Whoever could be answered is found in a text that no decoder takes (I13, attack 3)."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from iii.protocol import message_names
from iii.protocol.limits import KIB, MIB
from iii.protocol.message_names import Named, names_of
from tests.machine import cpu_within

CALL_ID = "0b1f3c4d-0b1f-4c4d-8b1f-0b1f3c4d0b1f"
ID_MEMBER = b'"invocation_id":"%b"' % CALL_ID.encode()
CALL = (
    b'{"type":"invokefunction","function_id":"svc::f",%b,"data":{"invocation_id":"nested","x":[1,{"type":"ping"}]}}'
    % ID_MEMBER
)
MESSAGES = [
    CALL,
    b'{"type":"invokefunction","data":{"invocation_id":"nested"},"function_id":"svc::f",%b}' % ID_MEMBER,
    b'{"data":{"a":1},%b,"metadata":{"invocation_id":"nested"},"type":"invokefunction","function_id":"svc::f"}' % ID_MEMBER,
    b'{"type":"invocationresult",%b,"result":[[],{"invocation_id":"nested"}]}' % ID_MEMBER,
    b'{%b,"error":{"code":"a","message":"b"},"type":"invocationresult"}' % ID_MEMBER,
    b'{"type":"invocationresult","result":"%b",%b,"traceparent":"x"}' % (b"x" * 70_000, ID_MEMBER),
]  # fmt: skip

Mutation = Callable[[bytes], bytes]
plain = st.binary(max_size=6).filter(lambda some: not re.search(rb"""[][{}"':,\\\\]""", some))
junk = plain | st.sampled_from([b"\xef\xbb\xbf", b"\0", b"[", b"]", b"}", b"}}", b"}]}", b"{", b" ", b")]}',\n", b",", b"'", b'"', b"\x1e", b";", b"data: "])  # fmt: skip
at_front: st.SearchStrategy[Mutation] = st.one_of(
    st.just(lambda text: text),
    junk.map(lambda some: lambda text: some + text),
    st.integers(1, 3).map(lambda count: lambda text: text[count:]),
    st.integers(1, 3).map(lambda count: lambda text: text[:count] + text),
)
at_end: st.SearchStrategy[Mutation] = st.one_of(
    st.just(lambda text: text),
    junk.map(lambda some: lambda text: text + some),
    st.just(lambda text: text + b'\n{"type":"ping"}'),
    st.integers(1, 3).map(lambda count: lambda text: text[:-count]),
    st.integers(1, 3).map(lambda count: lambda text: text + text[-count:]),
    st.just(lambda text: b"[" + text + b"]"),
    st.just(lambda text: b"[ " + text + b" ,]\n"),
    st.just(lambda text: text + text),
)


@settings(max_examples=600, derandomize=True, deadline=None)
@given(st.sampled_from(range(len(MESSAGES))), at_front, at_end, st.booleans())
@example(0, lambda text: text, lambda text: text + b"}", True)
@example(2, lambda text: text[2:], lambda text: b"[" + text + b"]", False)
@example(2, lambda text: text[6:], lambda text: text, False)
@example(0, lambda text: b'":' + text, lambda text: text, False)
def test_attack_3_an_id_that_can_be_read_is_found_whatever_is_at_either_end(
    number: int, front: Mutation, end: Mutation, at_leisure: bool
) -> None:
    text = MESSAGES[number]
    text = end(front(text)) if len(text) < 64 * KIB else front(text)
    found = names_of(text, at_leisure)
    assert found.invocation_id == CALL_ID or ID_MEMBER not in text
    assert found.invocation_id != "nested"
    whole_type = re.search(rb'"type":"(invo[a-z]+)"', text)
    if whole_type is not None and text.count(ID_MEMBER) == 1:
        assert found.type == whole_type[1].decode()


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize(
    "mutation",
    [
        lambda text: text.decode().encode("utf-16-le"),
        lambda text: text.decode().encode("utf-16-be"),
        lambda text: text.decode().encode("utf-16"),
        lambda text: text.decode().encode("utf-32"),
        lambda text: text.decode().encode("utf-16") + b"}",
        lambda text: json.dumps(text.decode()).encode(),
        lambda text: b"\xef\xbb\xbf" + json.dumps([text.decode()]).encode(),
        lambda text: repr(json.loads(text)).encode(),
        lambda text: repr([json.loads(text)]).encode(),
        lambda text: repr({"x": None, "y": "it's", "z": 'say "a"'} | json.loads(text)).encode(),
        lambda text: b'{"x":NaN,"y":-Infinity,' + text[1:] + b"}",
    ],
    ids=["utf16le", "utf16be", "utf16", "utf32", "utf16}", "twice", "bom twice", "repr", "[repr]", "None", "NaN}"],
)
def test_attack_3_other_spellings_of_a_message(message: bytes, mutation: Mutation) -> None:
    for text in (mutation(message), mutation(message) + b" ", b"\0" + mutation(message)):
        found = names_of(text)
        assert found.invocation_id == CALL_ID
        assert found.type == json.loads(message)["type"]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("between", [b"", b"\n", b" ,[", b"\x00", b"]["])
def test_attack_3_messages_that_name_nobody_may_stand_before_it(message: bytes, between: bytes) -> None:
    for text in (b'{"type":"ping"}' + between + message, b'{"type":"ping"}' * 3 + between + message + b"}"):
        assert names_of(text).invocation_id == CALL_ID
        assert names_of(b"[" + text, at_leisure=True).invocation_id == CALL_ID


def test_attack_3_what_is_mended_behind_such_a_message_is_read_too() -> None:
    """Only a decoder reads names that are escaped; a message that was too deep came to it as it was sent."""
    text = CALL.replace(b"invocation_id", b"i\\u006evocation_id").replace(b"nested", b"\\ud800")
    found = names_of(b'{"type":"ping"}' + text)
    assert (found.type, found.invocation_id, found.function_id) == ("invokefunction", CALL_ID, "svc::f")
    assert names_of(b'{"type":"ping"}{"data":"\\ud800"}').type == "ping"


@pytest.mark.parametrize("around", [(b"", b"}"), (b"\xef\xbb\xbf", b""), (b"[", b"]"), (b"", b"\0")])
def test_I3_a_void_call_in_a_broken_frame_is_known_as_one(around: tuple[bytes, bytes]) -> None:
    action = b'"action": {"type":"void"}'
    for inner in (b"1", b"tru"):
        text = CALL.replace(b'"data":{', b'%b,"broken":%b,"data":{' % (action, inner)).join(around)
        assert names_of(text).void
        assert names_of(text).invocation_id == CALL_ID


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0",
        b"{",
        b'{"a"',
        b'"{\\"',
        b"null",
        b"[1,2]",
        b'"invocation_id"',
        b'"invocation_id":',
        b"{'",
        b'{"data":{"x":tru,"invocation_id":"nested"}}',
        b'\xef\xbb\xbf{"data":{"invocation_id":"nested"}}',
        b'{"d\\u0061ta":{"invocation_id":"nested"}}}',
    ],
)
def test_attack_3_texts_that_name_nobody(text: bytes) -> None:
    assert names_of(text).invocation_id is None


@pytest.mark.parametrize(
    "piece", [b"[", b'"', b"'", b"{", b"\\", b'\\"', b'"a":', b'"a":1,', b"\0", b'"a"   ', b":", b'{"a":{', b'"\\']
)
@pytest.mark.parametrize("start", [b"", b'{"type":"', b'"{\\"', b"{'a':1,", b"\xef\xbb\xbf{\"a\":", b"\0"])  # fmt: skip
def test_core_8_hostile_texts_are_judged_at_the_speed_of_c(start: bytes, piece: bytes) -> None:
    text = start + piece * (MIB // len(piece))
    with cpu_within(1):  # some 5 ms; a step of Python for each byte would take longer
        names_of(text)


@pytest.mark.parametrize(
    "broken", [b"tru", b'"\xff"', b'"\\u12"', b"[" * 3000 + b"]" * 3000, b"[" * 9000, b"[1}", b'"\x01"']
)
@pytest.mark.parametrize("template", [b'{%b,"data":%b}', b'{"data":%b,%b}', b'{"data":[%b],%b}'])
def test_I13_ids_are_found_before_and_after_what_is_broken(template: bytes, broken: bytes) -> None:
    ids = b'"type":"invokefunction", "invocation_id" : "i\\u0041", "function_id":"f"'
    parts = (ids, broken) if template.startswith(b"{%b") else (broken, ids)
    found = names_of(template % parts)
    assert (found.type, found.invocation_id, found.function_id) == ("invokefunction", "iA", "f")


def test_I13_ids_inside_a_payload_are_not_taken_for_those_of_the_message() -> None:
    found = names_of(b'{"type":"t","data":{"x":[1,tru],"invocation_id":"nested"},"invocation_id":"own"}')
    assert (found.type, found.invocation_id) == ("t", "own")
    assert names_of(b'{"data":{"x":tru,"invocation_id":"nested"}}').invocation_id is None


@pytest.mark.parametrize("size", [1, 100_000, 500_000])
def test_01_4_a_second_look_takes_no_time_that_the_first_one_had(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that name nobody behind what may be junk took twice as long: 90 ms of the event loop for 500 KB."""
    tokens, token, decoded, decode = (
        list[bytes](),
        vars(message_names)["_TOKEN"],
        list[int](),
        vars(message_names)["_decoded"],
    )

    class Tokens:
        @staticmethod
        def finditer(text: bytes) -> Iterator[re.Match[bytes]]:
            for each in token.finditer(text):
                tokens.append(each[0])
                yield each

    def counted(data: bytes, mend: bool = True) -> object:
        decoded.append(len(data))
        return decode(data, mend)

    class LastMembers:
        @staticmethod
        def search(text: bytes) -> None:
            ends.append(text)

    ends = list[bytes]()
    monkeypatch.setattr(message_names, "_LAST_MEMBERS", LastMembers)
    monkeypatch.setattr(message_names, "_TOKEN", Tokens)
    monkeypatch.setattr(message_names, "_decoded", counted)
    data = b'ab":{"q":"z",' + b'"c":"d",' * size
    assert names_of(data) == Named()
    assert len(tokens) <= 20_000
    assert len(ends) == 1
    assert sum(decoded) <= max(2 * len(data) + 100, 8 * 1024 * 1024)
