"""The core: one registry and one router that do no I/O (00 §1)."""
