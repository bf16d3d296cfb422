"""Spans as they come: the trigger type `trace` and the live streams (06 §12.2, §12.3)."""
