"""The web console: what it shows and does, and how a browser reaches it (23)."""
