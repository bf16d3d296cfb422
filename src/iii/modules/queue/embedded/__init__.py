"""The adapter over the embedded store."""
