"""The tables of the embedded queue (04 §7.2, §7.3)."""

import re

from iii.storage.references import Reference


def _bare(statements: str) -> str:
    """Without comments and indentation.

    SQLite keeps the texts in the store, on the first page as long as they fit there; without them nothing can be salvaged.
    """
    return " ".join(re.sub("--.*", "", statements).split())


# A job that runs stays in its table, so that a crash gives it back where it was (04 §7.2).
# `ready_at` is null for jobs that wait and a time for those that are to wait until then.
_COMMENTED = (
    """
    CREATE TABLE queues (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,                 -- queue, destination or topic
        name TEXT NOT NULL,                 -- of the queue or the topic
        namespace TEXT NOT NULL,            -- these two of a destination, else empty
        function_id TEXT NOT NULL,
        subscribed INTEGER NOT NULL,        -- a destination that gets what is published
        settings TEXT,                      -- of its last subscriber
        UNIQUE (kind, name, namespace, function_id)
    );
    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY,            -- the order of acceptance
        queue INTEGER NOT NULL,
        rank INTEGER NOT NULL,              -- minus the priority
        ready_at INTEGER,
        grp TEXT,
        id TEXT NOT NULL,
        function_id TEXT,
        namespace TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        max_attempts INTEGER,
        backoff_ms INTEGER,
        created_at INTEGER NOT NULL,
        traceparent TEXT,
        baggage TEXT,
        history TEXT,                       -- JSON: the last failures
        metadata BLOB,
        data BLOB NOT NULL
    );
    CREATE INDEX waiting ON jobs (queue, rank, seq) WHERE ready_at IS NULL;
    CREATE INDEX delayed ON jobs (queue, ready_at) WHERE ready_at IS NOT NULL;
    CREATE INDEX grouped ON jobs (queue, grp, rank, seq) WHERE grp IS NOT NULL;
    CREATE TABLE dead (
        place INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of their death
        queue INTEGER NOT NULL,
        rank INTEGER NOT NULL,
        grp TEXT,
        id TEXT NOT NULL,
        function_id TEXT,
        namespace TEXT,
        attempts INTEGER NOT NULL,
        max_attempts INTEGER,
        backoff_ms INTEGER,
        created_at INTEGER NOT NULL,
        traceparent TEXT,
        baggage TEXT,
        history TEXT,
        metadata BLOB,
        data BLOB NOT NULL,
        error TEXT NOT NULL,
        stacktrace TEXT,
        failed_at INTEGER NOT NULL
    );
    CREATE INDEX dead_of ON dead (queue, place);
    CREATE INDEX dead_by_id ON dead (queue, id);
    CREATE TABLE deduplication (
        queue INTEGER NOT NULL,
        id TEXT NOT NULL,
        receipt TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (queue, id)
    ) WITHOUT ROWID;
    CREATE INDEX deduplication_end ON deduplication (expires_at);
    CREATE TABLE definitions (name TEXT PRIMARY KEY, config TEXT NOT NULL) WITHOUT ROWID;
    """,
    # What a skip over parked jobs looks at is in the index; `ready_at` is, since SQLite before 3.41 would fetch each row for it
    """
    DROP INDEX waiting;
    CREATE INDEX waiting ON jobs (queue, rank, seq, grp, namespace, function_id, ready_at) WHERE ready_at IS NULL;
    """,
    # A job is found by its id without an index on every id: those that the queue makes end in `seq` (jobs/job.py). The
    # others are in an index: given by a caller, redriven, or from before, which the default tells without writing their rows.
    """
    ALTER TABLE jobs ADD COLUMN named INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX by_id ON jobs (id) WHERE named = 1;
    DROP INDEX dead_by_id;
    CREATE INDEX dead_by_id ON dead (id);
    """,
    # Of queues with `keep_results_s`
    """
    CREATE TABLE results (
        place INTEGER PRIMARY KEY,
        queue INTEGER NOT NULL,
        number INTEGER NOT NULL,            -- counts the results of the queue
        id TEXT NOT NULL,
        state TEXT NOT NULL,                -- done or cancelled
        function_id TEXT,
        namespace TEXT,
        attempts INTEGER NOT NULL,
        max_attempts INTEGER,
        created_at INTEGER NOT NULL,
        finished_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        result_bytes INTEGER,               -- null: there was none
        result BLOB                         -- null too if it was too large
    );
    CREATE UNIQUE INDEX results_of ON results (queue, number);
    CREATE INDEX results_end ON results (queue, expires_at);
    CREATE INDEX results_by_id ON results (id);
    """,
    """
    CREATE TABLE paused (topic INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (topic, name)) WITHOUT ROWID;
    """,
)
MIGRATIONS = tuple(map(_bare, _COMMENTED))

_ADOPT = """
    INSERT INTO queues SELECT :id, CASE WHEN EXISTS (
        SELECT 1 FROM jobs WHERE queue = :id AND function_id IS NULL
        UNION ALL SELECT 1 FROM dead WHERE queue = :id AND function_id IS NULL
    ) THEN 'topic' ELSE 'queue' END, :name, '', '', 0, NULL
"""  # jobs of a named queue name their function, messages of a topic wait for its next subscriber

REFERENCES = tuple(
    Reference(table, "queue", "queues", _ADOPT, {"subscribed": 1})
    for table in ("jobs", "dead", "deduplication", "results")
)
