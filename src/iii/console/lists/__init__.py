"""Lists with filters and pages, made here and not in the browser: ten thousand rows need not travel (23 §5)."""
