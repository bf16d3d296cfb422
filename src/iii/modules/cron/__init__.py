"""`iii-cron`: functions called on a schedule (04 §12)."""
