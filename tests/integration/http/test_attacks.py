"""What hostile clients send to the HTTP port (issue 4, attacks)."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from iii.modules.http.settings import JSON_BODY_BYTES
from tests.integration.http.site import DEADLINE_S, Open, Site
from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import until


async def hello(request: Any) -> Any:
    return {"body": request["path_params"]}


async def answers(site: Site, sent: bytes) -> list[str]:
    """First lines of everything that comes back until the connection ends."""
    async with await site.raw(sent) as client:
        text = (await client.ended()).decode("latin-1")
        return [line for line in text.split("\r\n") if line.startswith("HTTP/1.1")]


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 6\r\n\r\nhello!",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX-A : b\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX-A: b\x00c\r\n\r\n",
        b"GET /a HTTP/9.9\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
async def test_smuggling_shapes_are_one_refused_request_and_the_end_of_the_connection(site: Site, sent: bytes) -> None:
    await site.route("POST /a", hello)
    await site.route("GET /a", hello)
    await site.route("GET /evil", hello)
    first_lines = await answers(site, sent)
    assert len(first_lines) <= 1
    assert all(line.startswith(("HTTP/1.1 400", "HTTP/1.1 505")) for line in first_lines), first_lines


BROKEN_BODIES = [
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nabXX0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nffffffffffffffffff\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nab",
    b"Content-Length: 9\r\n\r\nab",
]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
@pytest.mark.parametrize("sent", BROKEN_BODIES)
async def test_http_M7_what_the_client_broke_is_a_400_with_envelope_and_cors(
    open_site: Open, content_type: str, sent: bytes
) -> None:
    site = await open_site(request_id_header="x-request-id")

    async def reads(request: Any) -> Any:
        await request["request_body"].read_all()
        return {"body": "whole"}

    await site.route("POST /a", reads)
    head = f"POST /a HTTP/1.1\r\nHost: h\r\nX-Request-Id: r1\r\nContent-Type: {content_type}\r\n".encode()
    async with await site.raw(head + sent) as client:
        client.finish()
        status, headers, text = await client.answer()
    assert (status, json.loads(text)["error"]["code"]) == (400, "BAD_REQUEST")
    assert (headers["access-control-allow-origin"], headers["x-request-id"]) == ("*", "r1")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"0" * 5000 + b"2\r\n\r\nab", 200),
        (b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"get /a HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"OPTIONS /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"OPTIONS /a HTTP/1.1\r\nHost: a/b\r\nAccess-Control-Request-Method: GET\r\n\r\n", 400),
        *(
            (b"POST /a HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 400)
            for host in (
                b"a b",
                b"a/b",
                b"a@b",
                b"a,b",
                b"[::1",
                b"::1",
                b"a:b",
                b"a:123456",
                b"a?b",
                b"a#b",
                b"a\\b",
                b"\xc3\xa9",
                b"<a>",
            )
        ),
        *(
            (b"POST /a HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 200)
            for host in (
                b"",
                b"a_b.example:3111",
                b"[::1]:80",
                b"[fe80::1%25eth0]",
                b"127.0.0.1:",
                b"a.b.",
                b"xn--bcher-kva.example",
            )
        ),
    ],
)
async def test_http_M7_heads_that_mean_something_else_to_somebody_else(site: Site, sent: bytes, status: int) -> None:
    await site.route("POST /a", hello)
    async with await site.raw(sent) as client:
        assert (await client.answer())[0] == status


async def test_http_M7_a_json_body_that_says_it_is_too_large_is_refused_before_it_is_sent(site: Site) -> None:
    """03 §A5.1: a client that waits for `100 Continue` need not send it at all."""
    await site.route("POST /a", hello)
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    async with await site.raw(head % (JSON_BODY_BYTES + 1)) as client:
        status, _, text = await client.answer()
        assert (status, json.loads(text)["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_path_in_raw_utf_8_is_the_one_that_browsers_send_encoded(site: Site) -> None:
    await site.route("GET /items/:name", hello)
    async with await site.raw("GET /items/café HTTP/1.1\r\nHost: h\r\n\r\n".encode()) as client:
        assert json.loads((await client.answer())[2]) == {"name": "caf%C3%A9"}


async def test_http_M7_garbage_never_gets_a_bare_500(site: Site) -> None:
    """Mutated requests, the same ones each time: our envelope or the parser's own 4xx, and never silence inside."""
    await site.route("POST /a/:b", hello)
    await site.route("GET /a/:b", hello)
    whole = (
        b"POST /a/b?c=d HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'7\r\n{"a":1}\r\n0\r\n\r\n'
    )
    chance = random.Random(7)
    for _ in range(300):
        sent = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(sent))
            match chance.randrange(3):
                case 0:
                    sent[at] = chance.randrange(256)
                case 1:
                    del sent[at : at + chance.randint(1, 9)]
                case _:
                    sent[at:at] = bytes(chance.choices(b"\r\n:,;0f\xc3 ", k=chance.randint(1, 4)))
        async with await site.raw(bytes(sent)) as client:
            client.finish()
            text = await client.ended()
        for answer in text.split(b"HTTP/1.1 ")[1:]:
            assert not answer.startswith(b"5") or b'"error"' in answer, (bytes(sent), answer)


@pytest.mark.parametrize("order", [1, -1])
async def test_content_length_beside_chunks_is_one_request_and_the_end_of_the_connection(
    site: Site, order: int
) -> None:
    """RFC 9112 §6.1: the chunks count, and whatever another one takes for a second request is never read."""
    called: list[str] = []

    async def evil(request: Any) -> Any:
        called.append("evil")

    await site.route("POST /a", hello)
    await site.route("GET /evil", evil)
    both = b"".join([b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n"][::order])
    sent = b"POST /a HTTP/1.1\r\nHost: h\r\n" + both + b"\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
    assert len(await answers(site, sent)) == 1
    assert called == []


async def test_a_bad_chunk_ends_the_connection_and_never_looks_like_a_whole_body(site: Site) -> None:
    await site.route("POST /a", hello)
    sent = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n"
    first_lines = await answers(site, sent)
    assert not any(" 200 " in line for line in first_lines), first_lines


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/files/%2e%2e%2fetc%2fpasswd", {"name": "%2e%2e%2fetc%2fpasswd"}),
        ("/files/..%2f..", {"name": "..%2f.."}),
        ("/files/..", {"name": ".."}),
        ("/files/a%00b", {"name": "a%00b"}),
    ],
)
async def test_nothing_in_a_path_is_decoded_or_resolved(site: Site, path: str, params: dict[str, str]) -> None:
    await site.route("GET /files/:name", hello)
    async with await site.raw(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()) as client:
        status, _, text = await client.answer()
        assert status == 200
        assert params["name"] in text


@pytest.mark.parametrize("path", ["/files/../secret", "/files/a/../../secret", "//files/a"])
async def test_traversal_matches_no_other_route(site: Site, path: str) -> None:
    await site.route("GET /files/:name", hello)
    await site.route("GET /secret", hello)
    async with await site.raw(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()) as client:
        assert (await client.answer())[0] == 404


async def test_heads_are_limited(site: Site) -> None:
    await site.route("GET /a", hello)
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(150))
    large = b"X-A: " + b"a" * 1_000_000 + b"\r\n"
    target = b"/" + b"a" * 70_000
    assert (await answers(site, b"GET /a HTTP/1.1\r\nHost: h\r\n" + many + b"\r\n"))[0].startswith("HTTP/1.1 431")
    assert (await answers(site, b"GET /a HTTP/1.1\r\nHost: h\r\n" + large + b"\r\n"))[0].startswith("HTTP/1.1 431")
    assert (await answers(site, b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n"))[0].startswith("HTTP/1.1 414")


async def test_03_A1_other_methods_old_versions_and_targets(site: Site) -> None:
    await site.route("GET /a", hello)
    for sent, status in (
        (b"GET /a HTTP/1.0\r\n\r\n", "200"),
        (b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", "200"),
        (b"TRACE /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "405"),
        (b"BREW /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "405"),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200"),
        (b"GET http://h/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "200"),
    ):
        async with await site.raw(sent) as client:
            assert (await client.head()).split()[1] == status, sent


async def test_03_A1_expect_100_continue(site: Site) -> None:
    async def body(request: Any) -> Any:
        return {"body": request["body"]}

    await site.route("POST /a", body)
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with await site.raw(head) as client:
        assert (await client.head()).startswith("HTTP/1.1 100 ")
        client.write(b"{}")
        assert (await client.answer())[2] == "{}"


async def test_a_thousand_unfinished_heads_keep_nobody_out(site: Site) -> None:
    await site.route("GET /a", hello)
    slow = await asyncio.gather(*(RawSocket.connect(site.http.port) for _ in range(1000)))
    for each in slow:
        each.write(b"GET /a HTTP/1.1\r\nHo")
    for _ in range(20):
        assert (await site.get("/a"))[0] == 200
    for each in slow:
        each.drop()


async def test_a_thousand_unfinished_bodies_keep_nobody_out(site: Site) -> None:
    """They wait for their turn's end inside `default_timeout`; JSON bodies take no slot from streamed ones."""
    await site.route("POST /a", hello)
    await site.route("GET /a", hello)
    slow = await asyncio.gather(*(RawSocket.connect(site.http.port) for _ in range(500)))
    for each in slow:
        each.write(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    await until(lambda: site.http.application.open_requests == 500)
    async with asyncio.timeout(DEADLINE_S):
        assert (await site.get("/a"))[0] == 200
    for each in slow:
        each.drop()
    await until(lambda: not site.http.application.open_requests)
