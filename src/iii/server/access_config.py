"""The `rbac` block of a worker listener (20)."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from iii.protocol.limits import AUTH_S, HOOK_S

Filter = str | dict[str, Any]
_Text = Annotated[str, Meta(min_length=1)]
_Milliseconds = Annotated[int, Meta(ge=1)]


class GrantConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What those may do whom a token or a certificate lets in."""

    name: Annotated[str, Meta(min_length=1, description="Name of who is let in, for the log and for lists of workers.")]
    allow: Annotated[
        tuple[Filter, ...],
        Meta(
            description="Functions that may be called: roles (`observer`, `worker`, `operator`, `admin`), "
            '`match("…")`, or mappings as in `expose_functions`.'
        ),
    ] = ()
    namespaces: Annotated[
        tuple[str, ...],
        Meta(description="Namespaces that may be declared and that `allow` is about; absent: `default`."),
    ] = ()
    register: Annotated[
        bool | tuple[str, ...] | None,
        Meta(
            description='Functions that may be registered: `true`, `false` or a list of `match("…")`; absent: '
            "as the roles say."
        ),
    ] = None
    trigger_types: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="Types of which triggers may be registered; absent: all for `admin`, the usual ones for others "
            "that may register functions, else none."
        ),
    ] = None
    see: Annotated[
        tuple[Filter, ...],
        Meta(description="Functions that lists show beside those which may be called; form as in `allow`."),
    ] = ()
    prefix: Annotated[_Text | None, Meta(description="Text before the ids of functions that are registered.")] = None


class TokenConfig(GrantConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One token: where it is, and what its bearers may do."""

    token_env: Annotated[
        str | None, Meta(description="Environment variable of the engine with the token; one of three ways to give it.")
    ] = None
    token_file: Annotated[
        str | None, Meta(description="File with the token, read again when it changes; `~/` is the home folder.")
    ] = None
    hash: Annotated[
        str | None, Meta(description="`sha256:…` of the token, as `iii token create` and `iii token hash` print it.")
    ] = None


class CertificateConfig(GrantConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Client certificates that let in, and what those may do who have one."""

    subject: Annotated[
        _Text,
        Meta(
            description='Name in the certificate: a URI or DNS name among its alternative names, else its common name; or `match("…")`.'
        ),
    ]


class RbacConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may connect to a listener, and do what."""

    tokens: Annotated[
        tuple[TokenConfig, ...] | None,
        Meta(
            description="Tokens that let clients in; absent: not asked for, an empty list: no client is let in by token."
        ),
    ] = None
    certificates: Annotated[
        tuple[CertificateConfig, ...] | None,
        Meta(description="Client certificates that let clients in; needs `client_ca` of `tls`. Absent: not looked at."),
    ] = None
    auth_function_id: Annotated[
        _Text | None,
        Meta(description="Function that is called once for each connection and returns its rights."),
    ] = None
    expose_functions: Annotated[
        tuple[Filter, ...],
        Meta(
            description='Functions that every session may call: `match("api::*")`, or a mapping with `match` or '
            "`metadata`, and perhaps `namespace`."
        ),
    ] = ()
    on_function_registration_function_id: Annotated[
        _Text | None, Meta(description="Hook that is asked before a function is registered.")
    ] = None
    on_trigger_registration_function_id: Annotated[
        _Text | None, Meta(description="Hook that is asked before a trigger is registered.")
    ] = None
    on_trigger_type_registration_function_id: Annotated[
        _Text | None, Meta(description="Hook that is asked before a trigger type is registered.")
    ] = None
    auth_timeout_ms: Annotated[
        _Milliseconds, Meta(description="Longest wait for the auth function, in milliseconds; then the login fails.")
    ] = int(AUTH_S * 1000)
    hook_timeout_ms: Annotated[
        _Milliseconds, Meta(description="Longest wait for a hook, in milliseconds; then the registration is denied.")
    ] = int(HOOK_S * 1000)
    allow_telemetry_same_ip: Annotated[
        bool,
        Meta(
            description="Whether `/otel` lets in clients that cannot log in there, if a session of this listener has "
            "their address."
        ),
    ] = False
