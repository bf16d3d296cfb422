"""What can carry the jobs: the embedded store, Redis, RabbitMQ (04 §11)."""
