"""Telemetry of workers and of the engine: what comes in, is kept, counted, watched and exported (06, 14, 16)."""
