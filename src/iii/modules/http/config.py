"""The `iii-http` block (03 §A2)."""

from typing import Annotated

from msgspec import Meta, Struct

from iii.net.tls_config import TlsConfig

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 §5.6.2
_SERVERS_OWN = "connection|content-length|content-type|date|host|keep-alive|server|te|trailer|transfer-encoding|upgrade"
_HeaderName = Annotated[str, Meta(pattern=rf"^{_TOKEN}\Z")]
_FreeHeaderName = Annotated[str, Meta(pattern=rf"^(?!(?i:{_SERVERS_OWN})\Z){_TOKEN}\Z")]
# As browsers write them; a bare host name, which older samples have, matches nothing and is warned of
_Origin = Annotated[
    str, Meta(pattern=r"^(\*|null|([a-z][a-z0-9+.\-]*://)?[a-z0-9._\-]+(:[0-9]+)?|[a-z]+://\[[0-9a-f:]+\](:[0-9]+)?)\Z")
]


class CorsConfig(Struct, frozen=True, kw_only=True):
    """Which pages of other origins may read answers (03 §A10, P2)."""

    allowed_origins: Annotated[
        tuple[_Origin, ...],
        Meta(
            description="Origins whose pages may read responses, such as `http://localhost:3000`, without a path; empty or with `*`: all.",
            extra={"form": "an origin such as `https://app.example` or `http://localhost:3000`, without a path"},
        ),
    ] = ()
    allowed_methods: Annotated[
        tuple[Annotated[str, Meta(pattern=rf"^{_TOKEN}\Z")], ...],
        Meta(
            description="Methods listed in preflight responses; empty: all.",
            extra={"form": "a method such as `GET`"},
        ),
    ] = ()
    allow_credentials: Annotated[
        bool,
        Meta(description="Whether pages may send cookies and read the responses; needs explicit `allowed_origins`."),
    ] = False
    expose_headers: Annotated[
        tuple[_HeaderName, ...] | None,
        Meta(
            description="Response headers that pages may read beside the simple ones; absent: the header named by "
            "`request_id_header`.",
            extra={"form": "the name of a header"},
        ),
    ] = None
    max_age: Annotated[
        Annotated[int, Meta(ge=0, le=2**31 - 1)] | None,
        Meta(description="Seconds that browsers may cache a preflight response; absent: the browser's default."),
    ] = None

    def __post_init__(self) -> None:
        if self.allow_credentials and (not self.allowed_origins or "*" in self.allowed_origins):
            raise ValueError("`allow_credentials` needs explicit origins in `allowed_origins`, without `*`")


class MiddlewareConfig(Struct, frozen=True, kw_only=True):
    """A function that every matched request passes first (03 §A9.3)."""

    function_id: Annotated[
        str,
        Meta(
            description="Function to call, looked up in the namespace of the route, then in `default`; if it is missing, the "
            "request is answered with 500."
        ),
    ]
    phase: Annotated[
        str,
        Meta(description="Phase of the request: `preHandler`; an entry with another value is skipped with a warning."),
    ] = "preHandler"
    priority: Annotated[
        int, Meta(description="Order of execution, lowest first; equal ones in the order of the list.")
    ] = 0


class HttpConfig(Struct, frozen=True, kw_only=True):
    """The HTTP server."""

    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address to bind; `127.0.0.1` and `localhost` mean this machine only, `0.0.0.0` lets every machine in.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")] = 3111
    tls: Annotated[
        TlsConfig | None, Meta(description="Certificate of the port; absent: its connections are not encrypted.")
    ] = None
    default_timeout: Annotated[
        int,
        Meta(
            ge=1,
            description="Longest time until a response begins, in milliseconds; then 504. It starts when the function is "
            "called, and does not count the time in which an upload makes progress. A body of which nothing arrives for so "
            "long is a 408. Streamed responses may take longer.",
        ),
    ] = 30_000
    idle_timeout: Annotated[
        int,
        Meta(
            ge=1000,
            le=86_400_000,
            description="Longest time that a connection may be idle, before its first request or after a response, "
            "in milliseconds; set it above the idle time of a proxy in front (60 s is usual). A request head that has "
            "begun has 10 s in any case.",
        ),
    ] = 75_000
    concurrency_request_limit: Annotated[
        int,
        Meta(
            ge=0,
            description="Most requests handled at a time; further ones wait. 0 counts as 1. A request does not count while "
            "its body is being received or its response is being streamed.",
        ),
    ] = 1024
    cors: Annotated[
        CorsConfig | None,
        Meta(
            description="Which pages of other origins may read responses; absent: pages of every origin may send requests and "
            "read responses."
        ),
    ] = None
    middleware: Annotated[
        tuple[MiddlewareConfig, ...], Meta(description="Functions called before the handler of every route.")
    ] = ()
    body_limit: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Limit of a request body in bytes; a larger one is answered with 413. JSON bodies are limited to "
            "16 MiB in any case; absent: no limit for streamed bodies."
        ),
    ] = None
    body_memory: Annotated[
        int,
        Meta(
            ge=1024 * 1024,
            description="Limit of the memory for JSON bodies of all requests together, in bytes; beyond it stalled "
            "bodies, then new ones, are answered with 503.",
        ),
    ] = 256 * 1024 * 1024
    route_grace_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=3_600_000,
            description="Time in which a route is answered with 503 and `Retry-After: 1` after its last worker disconnected "
            "without unregistering it, in milliseconds; then 404. The same after a start, for routes that existed before. "
            "0: 404 at once.",
        ),
    ] = 30_000
    file_path: Annotated[
        str,
        Meta(
            description="Folder for data: `http/routes.json` in it keeps the names of routes for the next start. Nothing "
            "is written if the folder does not exist."
        ),
    ] = "./data"
    expose_errors: Annotated[
        bool | None,
        Meta(
            description="Whether clients get the texts of unexpected exceptions; false: `Internal Server Error` and an "
            "error id that is also in the log. Errors that a handler raises on purpose are always sent. Absent: true if "
            "`host` is a loopback address."
        ),
    ] = None
    trust_proxy: Annotated[
        bool,
        Meta(
            description="Whether spans of requests take `url.scheme` from `x-forwarded-proto` and `client.address` from "
            "`x-forwarded-for`; a client can send them too, so let the proxy replace them. Functions find them in `headers` as they "
            "were sent, in any case."
        ),
    ] = False
    request_id_header: Annotated[
        _FreeHeaderName | None,
        Meta(
            description="Header with the id of a request: generated if the request has none, passed to the function, and sent "
            "back. Absent: no such header.",
            extra={"form": "the name of a header that is not the server's own, such as `x-request-id`"},
        ),
    ] = None
    ignore_trailing_slash: Annotated[bool, Meta(description="Whether `/a` and `/a/` are the same route.")] = False
    not_found_function: Annotated[
        str | None,
        Meta(
            description="Function of namespace `default` that answers requests without a matching route; absent: 404."
        ),
    ] = None
    server_header: Annotated[
        Annotated[str, Meta(pattern=r"^[\x20-\x7e]*\Z")],
        Meta(
            description="Value of the response header `server`; an empty text sends the header without a value.",
            extra={"form": "printable ASCII text"},
        ),
    ] = "iii"
    access_log: Annotated[
        bool,
        Meta(
            description="Whether the engine's log has a line for each request: in the combined format, with the duration in "
            "milliseconds, the function and the trace at its end; with `format: json` an object."
        ),
    ] = False
    openapi: Annotated[bool, Meta(description="Whether `GET /openapi.json` serves a description of all routes.")] = (
        False
    )
