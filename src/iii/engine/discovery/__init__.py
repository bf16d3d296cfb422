"""Discovery: who is connected, what is registered, and the two events that say it changed (02)."""
