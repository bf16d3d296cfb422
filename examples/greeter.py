"""A worker: one function that every other worker can call by its name."""

from msgspec import Struct

import iii


class Greeting(Struct):
    name: str = "world"


worker = iii.register_worker()  # at III_URL, or on this machine


@worker.function("greet::hello")
def hello(greeting: Greeting) -> str:
    """Greet somebody by name."""
    return f"Hello, {greeting.name}!"


print(worker.trigger({"function_id": "greet::hello", "payload": {"name": "Ada"}}))
