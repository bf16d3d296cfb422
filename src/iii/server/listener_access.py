"""From the configuration of a listener to its access rules (20 §1)."""

from __future__ import annotations

from iii.engine.access.admission import Admission
from iii.engine.access.filters import BadFilter, FunctionFilter, read_filter
from iii.engine.access.rules import Hooks, ListenerRules
from iii.engine.engine import Engine
from iii.net.tls_config import TlsConfig
from iii.protocol.start_failure import StartFailure
from iii.server.access_config import RbacConfig
from iii.server.certificates import ListenerCertificates
from iii.server.tokens import ListenerTokens


def admission_of(
    engine: Engine, listener: str, rbac: RbacConfig | None, middleware: str | None, tls: TlsConfig | None = None
) -> Admission | None:
    """None: everybody is let in and trusted. Raises StartFailure."""
    if rbac is None:
        if middleware is None:
            return None
        return Admission(engine.router, engine.clock, ListenerRules(listener=listener, middleware=middleware))
    hooks = Hooks(
        function=rbac.on_function_registration_function_id,
        trigger=rbac.on_trigger_registration_function_id,
        trigger_type=rbac.on_trigger_type_registration_function_id,
    )
    rules = ListenerRules(
        listener=listener,
        exposed=_exposed(rbac),
        auth_function=rbac.auth_function_id,
        middleware=middleware,
        hooks=hooks,
        auth_s=rbac.auth_timeout_ms / 1000,
        hook_s=rbac.hook_timeout_ms / 1000,
    )
    tokens = None if rbac.tokens is None else ListenerTokens(rbac.tokens, listener)
    check_verifiable(rbac, tls)
    certificates = None if rbac.certificates is None else ListenerCertificates(rbac.certificates, listener)
    return Admission(engine.router, engine.clock, rules, tokens, certificates)


def check_verifiable(rbac: RbacConfig | None, tls: TlsConfig | None) -> None:
    """Raises StartFailure: clients are to show certificates that nobody can verify."""
    if rbac is not None and rbac.certificates is not None and (tls is None or tls.client_ca is None):
        raise StartFailure(
            "rbac.certificates: no client certificate can be verified; set `client_ca` of `tls`",
            ("rbac", "certificates"),
        )


def deciding(rbac: RbacConfig | None, middleware: str | None) -> tuple[str | None, ...]:
    """Functions that decide who may do what: not for sessions (20 §5)."""
    if rbac is None:
        return (middleware,)
    return (
        middleware,
        rbac.auth_function_id,
        rbac.on_function_registration_function_id,
        rbac.on_trigger_registration_function_id,
        rbac.on_trigger_type_registration_function_id,
    )


def _exposed(rbac: RbacConfig) -> tuple[FunctionFilter, ...]:
    found = []
    for index, entry in enumerate(rbac.expose_functions):
        try:
            found.append(read_filter(entry))
        except BadFilter as error:
            raise StartFailure(f"rbac.expose_functions: {error}", ("rbac", "expose_functions", index)) from None
    return tuple(found)
