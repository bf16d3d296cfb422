"""Health, baggage, log lines and worker gauges (06)."""
