"""Telemetry frames of workers become records (06 §2)."""
