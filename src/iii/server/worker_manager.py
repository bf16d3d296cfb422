"""`iii-worker-manager`: the module behind a worker listener (07 §3.1)."""

import logging
from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from iii.engine.access.made_triggers import change_made, revoke_made
from iii.engine.connection_limits import ConnectionLimits
from iii.engine.engine import Engine
from iii.engine.module import Adjusted, Module
from iii.engine.replicas import ReplicaRule
from iii.net.server_tls import server_tls
from iii.net.tls_config import TlsConfig
from iii.net.trusted_proxies import TrustedProxies
from iii.protocol.address import is_loopback
from iii.protocol.limits import (
    HANDSHAKE_TIMEOUT_MS,
    HELD_CALLS_BYTES,
    OPEN_CHANNELS,
    REGISTRATION_BYTES,
    REGISTRATIONS_BYTES,
)
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement
from iii.protocol.start_failure import StartFailure
from iii.server.access_config import RbacConfig
from iii.server.listener import Listener
from iii.server.listener_access import admission_of, check_verifiable, deciding

PORT_IS_OPEN = LogEvent(
    __name__, "worker_port.open", logging.WARNING, "Worker port has no access control and is open to other machines",
    means="Every client that reaches the port can call every function.",
    do="Set `host: 127.0.0.1`, give the listener tokens (`rbac.tokens`), or restrict access with a firewall.",
)  # fmt: skip

_Text = Annotated[str, Meta(min_length=1)]


class WorkerManagerConfig(Struct, frozen=True, kw_only=True):
    """One worker listener."""

    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address to bind; `127.0.0.1` and `localhost` mean this machine only, by IPv4 and IPv6; `0.0.0.0` lets "
            "every machine in.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")] = 49_134
    handshake_timeout_ms: Annotated[
        int,
        Meta(
            ge=1,
            description="Longest wait for the complete HTTP request head of a connection, in milliseconds; then it is closed.",
        ),
    ] = HANDSHAKE_TIMEOUT_MS
    max_registration_bytes: Annotated[
        int, Meta(ge=1, description="Limit of one registration message in bytes; a larger one is refused.")
    ] = REGISTRATION_BYTES
    max_registrations_bytes: Annotated[
        int, Meta(ge=1, description="Limit of all registrations of one connection in bytes; further ones are refused.")
    ] = REGISTRATIONS_BYTES
    max_waiting_bytes: Annotated[
        int,
        Meta(
            ge=1,
            description="Limit of the calls of one connection that wait for registrations, in bytes; further ones are refused.",
        ),
    ] = HELD_CALLS_BYTES
    max_channels: Annotated[
        int,
        Meta(
            ge=1,
            description="Limit of the channels that one connection, or all sessions of one identity, have at once; creating "
            "further ones is refused.",
        ),
    ] = OPEN_CHANNELS
    tls: Annotated[
        TlsConfig | None, Meta(description="Certificate of the port; absent: its connections are not encrypted.")
    ] = None
    rbac: Annotated[
        RbacConfig | None,
        Meta(description="Who may connect, and do what; absent: every client that reaches the port may do everything."),
    ] = None
    middleware_function_id: Annotated[
        _Text | None,
        Meta(
            description="Function that gets the calls of this listener's clients instead of their targets; calls of the "
            "engine's own functions excepted.",
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` tells the client's address, "
            "for limits of failed logins, auth functions, lists and the log; absent: the address of the TCP peer counts.",
        ),
    ] = ()
    replicas: Annotated[
        tuple[ReplicaRule, ...],
        Meta(description="Functions that all workers with them serve together; the first rule that matches decides."),
    ] = ()
    max_invocation_ms: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Milliseconds after which a worker's call gets `TIMEOUT` and is cancelled; absent: no limit."),
    ] = None
    cancel_any_call: Annotated[
        bool,
        Meta(description="Whether a connection may cancel calls of other connections; `false`: only its own calls."),
    ] = False


class WorkerManager(Module):
    name = "iii-worker-manager"
    description = (
        "WebSocket listener that SDK workers connect to. Supports RBAC, middleware, registration hooks, and channels."
    )
    mandatory = True
    Config: ClassVar = WorkerManagerConfig

    def __init__(self, engine: Engine, config: WorkerManagerConfig | None = None, instance: str | None = None) -> None:
        super().__init__(engine, instance)
        self.config = config = config or WorkerManagerConfig()
        self.listener = self._listener(config)

    def _listener(self, config: WorkerManagerConfig) -> Listener:
        return Listener(
            self.engine,
            config.host,
            config.port,
            config.handshake_timeout_ms,
            _limits(config),
            admission_of(self.engine, self.instance, config.rbac, config.middleware_function_id, config.tls),
            config.rbac is not None and config.rbac.allow_telemetry_same_ip,
            server_tls(config.tls, self.instance),
            _proxies(config),
        )

    async def start(self) -> None:
        self.engine.functions.replica_rules += self.config.replicas
        self._entrust(self.config)
        await self.listener.open()
        self._judge_made()
        self._warn_if_open()

    def _judge_made(self) -> None:
        """Triggers of sessions that another listener of this name let in."""
        if self.listener.admission is not None:
            change_made(self.engine, self.listener.admission, self.instance)

    def removed(self) -> None:
        if self.listener.admission is not None:
            revoke_made(self.engine, self.listener.admission.rules.listener)

    def _entrust(self, config: WorkerManagerConfig) -> None:
        self.engine.functions.entrusted.hold(self, deciding(config.rbac, config.middleware_function_id))

    def _warn_if_open(self) -> None:
        if self.config.rbac is None and not is_loopback(self.listener.host):
            PORT_IS_OPEN(address=self.listener.address)

    async def measurements(self) -> Sequence[Measurement]:
        return self.listener.measure(self.instance)

    async def adjust(self, config: WorkerManagerConfig) -> Adjusted:
        """Limits, certificates and access rules count at once, the first two for further connections; to another port workers have to come again.

        Raises StartFailure.
        """
        old, moved = self.config, config.port != self.config.port
        if not moved and config.host != old.host:
            return Adjusted.MODULE
        left, proxies = self.listener, _proxies(config)
        if moved:
            listener = self._listener(config)
            await listener.open()
            self.listener = listener
        else:
            tls = left.tls if config.tls == old.tls else server_tls(config.tls, self.instance)
            self._other_rights(config)
            left.adjust(config.handshake_timeout_ms, _limits(config), tls, proxies)
            if _demands_certificates(config) and not _demands_certificates(old):
                left.send_all_away()
        self._forget_replicas()
        self.config = config
        self._entrust(config)
        self.engine.functions.replica_rules += config.replicas
        if moved:
            self._judge_made()
        if moved or old.rbac is not None:
            self._warn_if_open()
        if moved:
            await left.close()
        return Adjusted.NOW

    def _other_rights(self, config: WorkerManagerConfig) -> None:
        """Raises StartFailure."""
        old, rbac, middleware = self.config, config.rbac, config.middleware_function_id
        check_verifiable(rbac, config.tls)
        if (rbac, middleware) == (old.rbac, old.middleware_function_id):
            return
        admission = admission_of(self.engine, self.instance, rbac, middleware, config.tls)
        by_address = rbac is not None and rbac.allow_telemetry_same_ip
        if admission is not None and rbac is not None and old.rbac is not None:
            self.listener.judge_by(admission, telemetry_by_address=by_address)
        else:
            self.listener.let_in_again(admission, telemetry_by_address=by_address)
            self._judge_made()

    async def renew(self) -> None:
        await self.listener.renew()

    async def stop(self) -> None:
        await self.listener.close()
        self._forget_replicas()

    def _forget_replicas(self) -> None:
        functions, own = self.engine.functions, self.config.replicas
        functions.replica_rules = [rule for rule in functions.replica_rules if not any(rule is each for each in own)]


def _proxies(config: WorkerManagerConfig) -> TrustedProxies | None:
    """Raises StartFailure."""
    if not config.trusted_proxies:
        return None
    for index, text in enumerate(config.trusted_proxies):
        try:
            TrustedProxies([text])
        except ValueError as error:
            raise StartFailure(
                f"trusted_proxies: expected an address or a network such as 10.0.0.0/8, got '{text}': {error}",
                ("trusted_proxies", index),
            ) from None
    return TrustedProxies(config.trusted_proxies)


def _demands_certificates(config: WorkerManagerConfig) -> bool:
    """Whether connections without a verified certificate are not let in."""
    return config.tls is not None and config.tls.client_ca is not None and config.tls.client_auth == "required"


def _limits(config: WorkerManagerConfig) -> ConnectionLimits:
    return ConnectionLimits(
        registration_bytes=config.max_registration_bytes,
        registrations_bytes=config.max_registrations_bytes,
        waiting_bytes=config.max_waiting_bytes,
        invocation_ms=config.max_invocation_ms,
        cancels_any_call=config.cancel_any_call,
        channels=config.max_channels,
    )
