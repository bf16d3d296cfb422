"""Log records: kept, listed, printed, and told to functions (06 §10)."""
