"""The adapter over a RabbitMQ broker."""
