"""However a call ends, its span ends once, and says how (17 §2)."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import settings

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.modules.observability.records import Span
from iii.modules.observability.signals import Source
from iii.testing import MemoryWorker
from tests.property.test_calls_that_end_early import Calls


class RecordedCalls(Calls):
    """As those, of workers whose client makes no spans."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[MemoryWorker] = []
        self.ended: list[Span] = []
        self.module = Observability(self.engine.core, ObservabilityConfig(exporter="both", pending_max_age_seconds=0))
        self.engine.core.add_module(self.module)
        self.module.signals.spans.subscribe(self.told)

    def told(self, spans: Sequence[Span], source: Source) -> None:
        self.ended += spans

    def return_(self, target: str) -> None:
        super().return_(target)
        worker = self.executors[target]
        if worker.session.announced:
            worker.announce(runtime="go", version="1.0.0", features=["cancel.v1"] if target != "svc::old" else [])
        self.workers.append(worker)

    def teardown(self) -> None:
        super().teardown()
        self.module.signals.looking()
        ended = Counter(span.span_id for span in self.ended)
        handed_over = [
            invocation["traceparent"][36:52] for worker in self.workers for invocation in worker.invocations()
        ]
        assert set(handed_over) <= set(ended)
        assert set(ended.values()) <= {1}
        for span in self.ended:
            failed = span.status == "error"
            assert not span.pending
            assert failed == bool(span.events) == ("error.type" in dict(span.attributes))
            assert (span.status == "unset") == ("iii.call.withdrawn" in dict(span.attributes))


TestRecordedCalls = RecordedCalls.TestCase
TestRecordedCalls.settings = settings(max_examples=40, stateful_step_count=40, derandomize=True)
