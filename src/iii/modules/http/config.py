"""The `iii-http` block (03 A2)."""

from typing import Annotated

from msgspec import Meta, Struct


class CorsConfig(Struct, frozen=True, kw_only=True):
    """Which pages of other origins may read answers (03 A10)."""

    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(description="Full origins, such as `http://localhost:3000`; empty or with `*`: all."),
    ] = ()
    allowed_methods: Annotated[
        tuple[str, ...], Meta(description="Methods that a preflight is told, as written; empty: all.")
    ] = ()


class MiddlewareConfig(Struct, frozen=True, kw_only=True):
    """A function that every matched request passes first (03 A9.3)."""

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
    concurrency_request_limit: Annotated[
        int, Meta(ge=0, description="Requests at work at once; others wait. 0 counts as 1.")
    ] = 1024
    cors: CorsConfig | None = None
    middleware: tuple[MiddlewareConfig, ...] = ()
    body_limit: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Most bytes of a request body, else 413; absent: no limit for streamed ones."),
    ] = None
    trust_proxy: Annotated[
        bool,
        Meta(
            description="Accepted; this version records no traces that could show `x-forwarded-proto` and `x-forwarded-for`."
        ),
    ] = False
    request_id_header: Annotated[
        str | None,
        Meta(description="Header that names each request; made where it is missing, and sent back. Absent: none."),
    ] = None
    ignore_trailing_slash: Annotated[bool, Meta(description="`/a` and `/a/` are the same.")] = False
    not_found_function: Annotated[
        str | None, Meta(description="Function of namespace `default` that answers what no route matches.")
    ] = None
    openapi: Annotated[bool, Meta(description="Serve a description of all routes at `/openapi.json`.")] = False
