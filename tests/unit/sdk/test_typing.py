"""What a type checker knows about the SDK: right use has precise types, wrong use is an error.

mypy runs over this file with the others (`make check`); an ignore that is not needed any more is an error there, so each
line with one proves that the mistake in it is found.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Literal, assert_type

import msgspec
import pytest

import iii


class User(msgspec.Struct):
    id: int


if TYPE_CHECKING:

    def right_use(worker: iii.Worker) -> None:
        @worker.function("math::add", description="Adds")
        def add(numbers: list[int]) -> int:
            return sum(numbers)

        assert_type(add([1]), int)  # the decorator keeps the signature

        ref = worker.register_function("other", add)
        assert_type(ref, iii.FunctionRef)
        assert_type(worker.register_function({"id": "third", "metadata": {"a": 1}}, add), iii.FunctionRef)
        worker.register_function("hook", iii.HttpInvocationConfig(url="https://example.test", method="PUT"))
        assert_type(worker.register_trigger({"type": "cron", "function_id": "f"}), iii.Trigger)
        assert_type(worker.list_workers(), list[iii.WorkerInfo])
        assert_type(worker.list_functions()[0].description, str | None)
        assert_type(worker.worker_id, str | None)
        worker.trigger({"function_id": "f", "action": iii.TriggerAction.Enqueue(queue="q")})
        worker.trigger({"function_id": "f", "action": {"type": "void"}, "timeout_ms": 5})
        assert_type(iii.register_worker(options=iii.InitOptions(otel={"enabled": False})), iii.Worker)

    def observers(worker: iii.Worker, app: iii.App, envelope: iii.Observed[User, int]) -> None:
        @app.observe("orders::create", on="complete", where={"input.total": {"$gte": 5}}, capture=["input", "error"])
        def note(call: iii.Observed[User, int]) -> int:
            assert_type(call.input, User)
            assert_type(call.output, int)
            assert_type(call.error, iii.ObservedError | None)
            return call.input.id

        assert_type(note(envelope), int)  # the decorator keeps the signature
        observer = worker.observe("orders::create", "audit", max_fires=1)
        assert_type(observer, iii.Observer)
        assert_type(observer.state, Literal["pending", "active", "suspended", "error", "disposed"])
        worker.observe("orders::create", on="sucess")  # type: ignore[call-overload]
        worker.observe("orders::create", "audit", function_id="f")  # type: ignore[call-overload]

    async def right_async_use() -> None:
        async with iii.connect_worker("ws://engine", iii.InitOptions(worker_name="a")) as worker:
            assert_type(worker, iii.Worker)
            assert_type(await worker.list_triggers_async(), list[iii.TriggerInfo])
            assert_type(await worker.create_channel_async(), iii.Channel)
        assert_type(await iii.connect_worker(), iii.Worker)
        in_thread = await asyncio.to_thread(lambda: worker.trigger({"function_id": "f"}, returns=User))
        assert_type(in_thread, User)
        request: iii.TriggerRequest = {"function_id": "f", "payload": 1}
        assert_type(await asyncio.to_thread(worker.trigger, request, returns=User), User)
        anything: Any = await asyncio.to_thread(worker.trigger, request)
        assert_type(anything["id"], Any)
        # mypy takes a dict for `dict[str, …]` before it sees whose argument it is; Pyright does not
        await asyncio.to_thread(worker.trigger, {"function_id": "f"}, returns=User)  # type: ignore[arg-type]

    def results_that_have_a_type(worker: iii.Worker, receipt: iii.EnqueueResult) -> None:
        assert_type(worker.trigger({"function_id": "f"}, returns=User), User)
        assert_type(worker.trigger({"function_id": "f"}, returns=list[User]), list[User])
        assert_type(worker.trigger({"function_id": "f"}), Any)
        assert_type(worker.trigger({"function_id": "f"}, returns=User | None), User | None)
        assert_type(worker.trigger({"function_id": "f"}, returns=Literal["on", "off"]), Literal["on", "off"])
        assert_type(worker.start({"function_id": "f"}, returns=User), iii.Call[User])
        assert_type(worker.start({"function_id": "f"}, returns=User).result(), User)
        assert_type(worker.start({"function_id": "f"}), iii.Call[Any])
        assert_type(receipt.wait(returns=User), User)
        assert_type(receipt.wait(), Any)
        users, room = worker.state("users"), worker.stream("chat", "room")
        assert_type(users.get("7", returns=User), User | None)
        assert_type(users.get("7"), Any)
        assert_type(users.values(returns=User), list[User])
        assert_type(users.values(), list[Any])
        assert_type(room.get("7", returns=User), User | None)
        assert_type(room.items(returns=User), list[User])

    async def awaited_results_that_have_a_type(worker: iii.Worker) -> None:
        assert_type(await worker.trigger_async({"function_id": "f"}, returns=User), User)
        assert_type(await worker.trigger_async({"function_id": "f"}), Any)
        assert_type(await worker.start({"function_id": "f"}, returns=User), User)
        users, room = worker.state("users"), worker.stream("chat", "room")
        assert_type(await users.get_async("7", returns=User), User | None)
        assert_type(await users.values_async(returns=User), list[User])
        assert_type(await room.get_async("7", returns=User), User | None)
        assert_type(await room.items_async(returns=User), list[User])

    def wrong_use(worker: iii.Worker) -> None:
        worker.trigger({"function_id": "f"}, User)  # type: ignore[call-arg]
        worker.trigger({"function_id": "f"}, return_type=User)  # type: ignore[call-arg]
        worker.trigger({"function_id": "f"}, returns=User).name  # type: ignore[attr-defined]  # noqa: B018
        worker.trigger("f")  # type: ignore[arg-type]
        worker.trigger({"payload": 1})  # type: ignore[typeddict-item]
        worker.trigger({"function_id": "f", "timeout": 5})  # type: ignore[typeddict-unknown-key]
        worker.trigger({"function_id": "f", "action": {"type": "later"}})  # type: ignore[typeddict-item]
        iii.TriggerAction.Enqueue("q")  # type: ignore[call-arg]
        iii.InitOptions(worker_nam="a")  # type: ignore[call-arg]
        iii.HttpInvocationConfig(url="https://example.test", method="put")  # type: ignore[arg-type]
        worker.register_function(5, print)  # type: ignore[arg-type]
        worker.register_trigger({"function_id": "f"})  # type: ignore[typeddict-item]
        worker.register_trigger_type({"id": "t"}, print)  # type: ignore[arg-type]
        worker.list_workers()[0].nam  # type: ignore[attr-defined]  # noqa: B018

        class Half(iii.TriggerHandler):
            async def register_trigger(self, config: iii.TriggerConfig) -> None: ...

        Half()  # type: ignore[abstract]


def test_a_half_written_provider_cannot_be_made() -> None:
    class Half(iii.TriggerHandler):
        async def register_trigger(self, config: Any) -> None: ...

    with pytest.raises(TypeError, match="unregister_trigger"):
        Half()  # type: ignore[abstract]
