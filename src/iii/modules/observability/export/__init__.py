"""Telemetry on its way to an OpenTelemetry collector (06 §14)."""
