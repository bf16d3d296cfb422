"""The engine's spans as a part of the module: made or not by its configuration, and what decides about them (17 §4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from iii.engine.builtin import builtin
from iii.engine.engine import Engine
from iii.modules.observability.config import ObservabilityConfig, RateLimit, SamplingRule, shows_pending
from iii.modules.observability.nothing import Nothing
from iii.modules.observability.records import Span
from iii.modules.observability.signals import Signals
from iii.modules.observability.tracing.sampler import TraceSampler
from iii.modules.observability.tracing.tracer import EngineTracer


class TraceSampling(Struct, omit_defaults=True):
    default_ratio: Annotated[float, Meta(description="Share of the traces that no rule is for.")]
    rules: Annotated[tuple[SamplingRule, ...], Meta(description="As configured; the first that matches counts.")]
    parent_based: Annotated[bool, Meta(description="Whether a span is recorded if its parent is.")]
    rate_limit: Annotated[RateLimit | None, Meta(description="As configured; missing: none.")] = None


class LogSampling(Struct):
    sampling_ratio: Annotated[float, Meta(description="Share of the log records that are taken.")]


class SamplingRules(Struct):
    traces: TraceSampling
    logs: LogSampling
    timestamp: Annotated[int, Meta(description="Unix milliseconds.")]


class Tracing:
    """Installs a tracer while telemetry is enabled."""

    def __init__(
        self, engine: Engine, config: ObservabilityConfig, signals: Signals, environ: Mapping[str, str]
    ) -> None:
        self._engine = engine
        self._config = config
        self._sampler = TraceSampler(config, engine.clock)
        self._tracer = EngineTracer(
            engine.clock,
            signals,
            self._sampler,
            config.service_name,
            live=shows_pending(config),
            eager=environ.get("III_OTEL_TRACE_BUILTINS", "").lower() in ("1", "true"),
        )
        self._install()

    def apply(self, config: ObservabilityConfig) -> None:
        """New settings while the engine runs; how spans are named and shown stays as it was."""
        if (config.sampling, config.sampling_ratio) != (self._config.sampling, self._config.sampling_ratio):
            self._sampler = self._tracer.sampler = TraceSampler(config, self._engine.clock)
        self._config = config
        self._install()

    def stop(self) -> None:
        """Make no more of them."""
        self._engine.router.tracer = None
        self._tracer.stop()

    def forwards(self, span: Span) -> bool:
        """Whether a span of a worker is exported."""
        return self._sampler.forwards(span)

    @builtin("engine::sampling::rules", spec="06 §13")
    def rules(self, request: Nothing) -> SamplingRules:
        """Show which share of traces and log records is kept."""
        sampling, sampler = self._config.sampling, self._sampler
        rules, limit = ((), None) if sampling is None else (sampling.rules, sampling.rate_limit)
        return SamplingRules(
            TraceSampling(sampler.default_ratio, rules, sampler.parent_based, limit),
            LogSampling(self._config.logs_sampling_ratio),
            self._engine.clock.time_ms(),
        )

    def _install(self) -> None:
        self._engine.router.tracer = self._tracer if self._config.enabled else None
