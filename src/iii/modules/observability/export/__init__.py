"""Telemetry on its way to an OpenTelemetry collector (14 §1)."""
