"""The public names of `iii.testing`, read from their source."""

import iii.testing
from docs.generator.sdk_page import section_of

_FOR_USERS = ("TestEngine", "CallRecord", "HttpAnswer", "TriggerFailed", "JobFailed", "Unfinished")


def testing_page() -> str:
    """One section a name, in the order in which a test meets them."""
    text = (
        "# Testing\n\nWhat `iii.testing` offers to tests of workers; see [Test a worker](../how-to/test-a-worker.md).\n"
    )
    return text + "".join(f"\n## {name}\n\n{section_of(iii.testing, name)}" for name in _FOR_USERS)
