"""`iii-queue`: durable jobs by named queue and by topic (04 §2–11)."""
