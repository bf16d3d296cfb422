"""The engine's own spans: which are made, and which of all spans leave for a collector (17)."""
