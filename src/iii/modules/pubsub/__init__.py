"""`iii-pubsub`: messages to whoever subscribes now (04 §13)."""
