"""`iii-stream`: items in groups, their live changes over WebSocket, and three trigger types (05 §4–6)."""
