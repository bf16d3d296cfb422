"""Spans as they come: the trigger type `trace` and the live streams (19 §1, §2)."""
