"""The `iii-http` block (03 §A2)."""

from typing import Annotated

from msgspec import Meta, Struct

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
            description="Full origins, such as `http://localhost:3000`; empty or with `*`: all.",
            extra={"form": "an origin such as `https://app.example` or `http://localhost:3000`, without a path"},
        ),
    ] = ()
    allowed_methods: Annotated[
        tuple[Annotated[str, Meta(pattern=rf"^{_TOKEN}\Z")], ...],
        Meta(
            description="Methods that a preflight lists, as written; empty: all.",
            extra={"form": "a method such as `GET`"},
        ),
    ] = ()
    allow_credentials: Annotated[
        bool, Meta(description="Let pages send cookies and see the answers; needs explicit `allowed_origins`.")
    ] = False
    expose_headers: Annotated[
        tuple[_HeaderName, ...] | None,
        Meta(
            description="Response headers that pages may read beside the simple ones. Absent: the one that "
            "`request_id_header` names.",
            extra={"form": "the name of a header"},
        ),
    ] = None
    max_age: Annotated[
        Annotated[int, Meta(ge=0, le=2**31 - 1)] | None,
        Meta(description="Seconds for which browsers may keep the answer of a preflight. Absent: theirs to choose."),
    ] = None

    def __post_init__(self) -> None:
        if self.allow_credentials and (not self.allowed_origins or "*" in self.allowed_origins):
            raise ValueError("`allow_credentials` needs explicit origins in `allowed_origins`, without `*`")


class MiddlewareConfig(Struct, frozen=True, kw_only=True):
    """A function that every matched request passes first (03 §A9.3)."""

    function_id: str
    phase: Annotated[str, Meta(description="`preHandler`; an entry with any other is skipped with a warning.")] = (
        "preHandler"
    )
    priority: Annotated[int, Meta(description="Lower ones run first; equal ones in the order of the list.")] = 0


class HttpConfig(Struct, frozen=True, kw_only=True):
    """The HTTP server."""

    host: Annotated[
        str,
        Meta(min_length=1, description="Address to bind; `127.0.0.1` and `localhost` mean this machine only."),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")] = 3111
    default_timeout: Annotated[
        int, Meta(ge=1, description="Milliseconds from a request's acceptance until its response begins, else 504.")
    ] = 30_000
    idle_timeout: Annotated[
        int,
        Meta(
            ge=1000,
            le=86_400_000,
            description="Milliseconds for which a connection may stay without a request, before the first one or after "
            "an answer; more than a proxy in front keeps its own (60 s is usual). A request head that has begun has 10 s.",
        ),
    ] = 75_000
    concurrency_request_limit: Annotated[
        int, Meta(ge=0, description="Requests at work at once; others wait. 0 counts as 1.")
    ] = 1024
    cors: CorsConfig | None = None
    middleware: tuple[MiddlewareConfig, ...] = ()
    body_limit: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Most bytes of a request body, else 413; absent: no limit for streamed ones."),
    ] = None
    body_memory: Annotated[
        int,
        Meta(
            ge=1024 * 1024,
            description="Bytes of JSON bodies held at once, of all requests together; beyond that bodies that do not "
            "move, then new ones, are answered with 503.",
        ),
    ] = 256 * 1024 * 1024
    route_grace_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=3_600_000,
            description="Milliseconds for which a route is answered with 503 after its last worker left without "
            "unregistering it, and after a start; then 404. 0: 404 at once.",
        ),
    ] = 30_000
    file_path: Annotated[
        str,
        Meta(
            description="Folder for data: `http/routes.json` in it has the names of routes for the next start. Nothing "
            "is written where the folder does not exist."
        ),
    ] = "./data"
    expose_errors: Annotated[
        bool | None,
        Meta(
            description="Tell clients the texts of unexpected exceptions; false: `Internal Server Error` and an id that "
            "the log has too. Errors that a handler raises on purpose are always told. Absent: true if `host` is a "
            "loopback address."
        ),
    ] = None
    trust_proxy: Annotated[
        bool,
        Meta(
            description="Accepted; this version records no traces that could show `x-forwarded-proto` and `x-forwarded-for`."
        ),
    ] = False
    request_id_header: Annotated[
        _FreeHeaderName | None,
        Meta(
            description="Header that names each request; made where it is missing, and sent back. Absent: none.",
            extra={"form": "the name of a header that is not the server's own, such as `x-request-id`"},
        ),
    ] = None
    ignore_trailing_slash: Annotated[bool, Meta(description="`/a` and `/a/` are the same.")] = False
    not_found_function: Annotated[
        str | None, Meta(description="Function of namespace `default` that answers what no route matches.")
    ] = None
    server_header: Annotated[
        Annotated[str, Meta(pattern=r"^[\x20-\x7e]*\Z")],
        Meta(
            description="Value of the response header `server`; empty: the header without a value.",
            extra={"form": "printable ASCII text"},
        ),
    ] = "iii"
    openapi: Annotated[bool, Meta(description="Serve a description of all routes at `/openapi.json`.")] = False
