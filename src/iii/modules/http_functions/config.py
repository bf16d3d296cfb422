"""The `iii-http-functions` block (03 §B1)."""

from typing import Annotated

from msgspec import Meta, Struct

_SECRETS = ("*TOKEN*", "*KEY*", "*SECRET*", "*PASS*", "*AUTH*", "*BEARER*", "*HMAC*", "*CREDENTIAL*", "III_HTTP_*")


class SecurityConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which URLs may be called, and with which secrets."""

    url_allowlist: Annotated[
        tuple[str, ...],
        Meta(
            description="Allowed URLs: patterns with `*`, `?` and `[…]` for the host, or with `://` for scheme, host, "
            "port and path; empty: all."
        ),
    ] = ("*",)
    env_allowlist: Annotated[
        tuple[str, ...],
        Meta(
            description="Environment variables of the engine that workers may name for authentication: patterns, case is "
            "ignored; empty: none. List the exact names before workers connect that you do not trust."
        ),
    ] = _SECRETS
    block_private_ips: Annotated[
        bool,
        Meta(
            description="Whether hosts are refused that are not on the public internet, or resolve to such an address; judged "
            "again at each connection. IPv6 forms that wrap an IPv4 address (mapped, 6to4, NAT64, ISATAP) are judged by that "
            "one."
        ),
    ] = True
    require_https: Annotated[bool, Meta(description="Whether URLs without https are refused.")] = True


class HttpFunctionsConfig(Struct, frozen=True, kw_only=True):
    security: Annotated[SecurityConfig, Meta(description="Which URLs may be called, and with which secrets.")] = (
        SecurityConfig()
    )
