"""The push channel: lists that pages follow, each change once, over one WebSocket (23 §6)."""
