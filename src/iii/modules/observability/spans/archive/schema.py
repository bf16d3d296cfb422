"""The tables of spans on disk. Counts by facet are kept by the database itself, so that a total needs no look at spans."""

from collections.abc import Sequence

FACETS = "service, name, status, internal, kind"

_TRIGGERS = (
    """
    CREATE TRIGGER spans_added AFTER INSERT ON spans BEGIN
        UPDATE facets SET roots = roots + (NEW.root > 0), others = others + (NEW.root = 0) WHERE id = NEW.facet;
        UPDATE spans SET root = 0 WHERE trace = NEW.trace AND parent = NEW.span_id AND root = 1;
    END
    """,
    """
    CREATE TRIGGER spans_changed AFTER UPDATE OF facet, root ON spans BEGIN
        UPDATE facets SET roots = roots - (OLD.root > 0), others = others - (OLD.root = 0) WHERE id = OLD.facet;
        UPDATE facets SET roots = roots + (NEW.root > 0), others = others + (NEW.root = 0) WHERE id = NEW.facet;
    END
    """,
    """
    CREATE TRIGGER spans_removed AFTER DELETE ON spans BEGIN
        UPDATE facets SET roots = roots - (OLD.root > 0), others = others - (OLD.root = 0) WHERE id = OLD.facet;
    END
    """,
)


def _unsealing(tables: Sequence[str], orders: str = "") -> tuple[str, ...]:
    """What changes a span unseals its block (`blocks.py`): 2,048 ids, 16 parts of their pairs, and four orders."""
    return tuple(
        f"""
    CREATE TRIGGER block_{event.lower()} AFTER {event} ON spans WHEN EXISTS (SELECT 1 FROM blocks WHERE id = {row}.id >> 11) BEGIN
        DELETE FROM pairs WHERE id BETWEEN ({row}.id >> 11) * 16 AND ({row}.id >> 11) * 16 + 15;
        {" ".join(f"DELETE FROM {table} WHERE id = {row}.id >> 11;" for table in tables)}
        {orders.format(row=row)}
    END
    """
        for event, row in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))
    )


_ORDERS = "DELETE FROM orders WHERE id BETWEEN ({row}.id >> 11) * 4 AND ({row}.id >> 11) * 4 + 3;"
_OF_BLOCKS = "sums", "editions", "times", "named", "blocks"
_UNSEALING = _unsealing(_OF_BLOCKS, _ORDERS)

# A MSGPACK is a BLOB; those of other stores are JSON, and their check looks at it.
# Of `root`: 0 no, 1 yes, 2 the earliest of spans that are each other's parents.
MIGRATIONS = (
    f"""
    CREATE TABLE marks (closed INTEGER NOT NULL);
    INSERT INTO marks VALUES (1);
    CREATE TABLE traces (id INTEGER PRIMARY KEY, trace_id TEXT NOT NULL UNIQUE, last_ms INTEGER NOT NULL);
    CREATE INDEX traces_by_age ON traces (last_ms);
    CREATE TABLE facets (
        id INTEGER PRIMARY KEY, service TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, internal INTEGER NOT NULL,
        kind TEXT NOT NULL, roots INTEGER NOT NULL DEFAULT 0, others INTEGER NOT NULL DEFAULT 0, UNIQUE ({FACETS})
    );
    CREATE TABLE resources (id INTEGER PRIMARY KEY, packed MSGPACK NOT NULL UNIQUE);
    CREATE TABLE spans (
        id INTEGER PRIMARY KEY, trace INTEGER NOT NULL, span_id TEXT NOT NULL, parent TEXT, start INTEGER NOT NULL,
        end INTEGER NOT NULL, facet INTEGER NOT NULL, root INTEGER NOT NULL, tagged INTEGER NOT NULL,
        resource INTEGER NOT NULL, packed MSGPACK NOT NULL, UNIQUE (trace, span_id)
    );
    CREATE INDEX spans_by_parent ON spans (trace, parent);
    CREATE INDEX circles ON spans (trace) WHERE root = 2;
    CREATE INDEX spans_by_start ON spans (start, facet, end, trace);
    CREATE INDEX roots_by_start ON spans (start, facet, end, trace) WHERE root > 0;
    CREATE INDEX spans_by_facet ON spans (facet, start, end, trace);
    CREATE INDEX roots_by_facet ON spans (facet, start, end, trace) WHERE root > 0;
    {";".join(_TRIGGERS)};
    """,
    f"""
    CREATE TABLE blocks (
        id INTEGER PRIMARY KEY, paired INTEGER NOT NULL, traces MSGPACK NOT NULL, counts MSGPACK NOT NULL, owners MSGPACK NOT NULL,
        facets MSGPACK NOT NULL, codes MSGPACK NOT NULL, roots MSGPACK NOT NULL
    );
    CREATE TABLE pairs (id INTEGER PRIMARY KEY, packed MSGPACK NOT NULL);
    {";".join(_unsealing(("blocks",)))};
    """,
    f"""
    CREATE TABLE times (
        id INTEGER PRIMARY KEY, spans INTEGER NOT NULL, earliest INTEGER NOT NULL, latest INTEGER NOT NULL,
        first_end INTEGER NOT NULL, last_end INTEGER NOT NULL, shortest INTEGER NOT NULL, longest INTEGER NOT NULL,
        first_trace TEXT NOT NULL, last_trace TEXT NOT NULL, facets MSGPACK NOT NULL, codes MSGPACK NOT NULL, roots MSGPACK NOT NULL
    );
    CREATE TABLE orders (id INTEGER PRIMARY KEY, ranks MSGPACK NOT NULL, known MSGPACK NOT NULL, places MSGPACK NOT NULL);
    CREATE TABLE named (id INTEGER PRIMARY KEY, facets MSGPACK NOT NULL, ends MSGPACK NOT NULL, owners MSGPACK NOT NULL);
    DROP TRIGGER block_insert;
    DROP TRIGGER block_update;
    DROP TRIGGER block_delete;
    {";".join(_unsealing(("times", "named", "blocks"), _ORDERS))};
    """,
    f"""
    CREATE TABLE editions (id INTEGER PRIMARY KEY, edition INTEGER NOT NULL);
    INSERT INTO editions SELECT id, 0 FROM times;
    DROP TRIGGER block_insert;
    DROP TRIGGER block_update;
    DROP TRIGGER block_delete;
    {";".join(_unsealing(("editions", "times", "named", "blocks"), _ORDERS))};
    """,
    f"""
    CREATE TABLE sums (id INTEGER PRIMARY KEY, packed MSGPACK NOT NULL);
    DROP TRIGGER block_insert;
    DROP TRIGGER block_update;
    DROP TRIGGER block_delete;
    {";".join(_UNSEALING)};
    """,
)

ADD_TRACE = """
    INSERT INTO traces (trace_id, last_ms) VALUES (?, ?)
    ON CONFLICT (trace_id) DO UPDATE SET last_ms = excluded.last_ms RETURNING id"""
ADD_SPAN = """
    INSERT INTO spans (trace, span_id, parent, start, end, facet, root, tagged, resource, packed)
    VALUES (
        ?1, ?2, ?3, ?4, ?5, ?6,
        ?3 IS NULL OR NOT EXISTS (SELECT 1 FROM spans WHERE trace = ?1 AND span_id = ?3),
        ?7, ?8, ?9)
    ON CONFLICT (trace, span_id) DO UPDATE SET
        parent = excluded.parent, start = excluded.start, end = excluded.end, facet = excluded.facet,
        root = excluded.root, tagged = excluded.tagged, resource = excluded.resource, packed = excluded.packed"""
HAS_CHILD = "SELECT 1 FROM spans WHERE trace = ? AND parent = ? LIMIT 1"
PARENT = "SELECT start, parent FROM spans WHERE trace = ? AND span_id = ?"
CIRCLES = "SELECT span_id FROM spans INDEXED BY circles WHERE trace = ? AND root = 2"
SET_PLAIN = """
    UPDATE spans SET root = parent IS NULL OR NOT EXISTS
        (SELECT 1 FROM spans above WHERE above.trace = spans.trace AND above.span_id = spans.parent)
    WHERE trace = ? AND span_id = ?"""
SET_ROOT = "UPDATE spans SET root = ?1 WHERE trace = ?2 AND span_id = ?3 AND root <> ?1"
UNSEAL = (
    "DELETE FROM pairs WHERE id BETWEEN ?1 * 16 AND ?1 * 16 + 15",
    "DELETE FROM orders WHERE id BETWEEN ?1 * 4 AND ?1 * 4 + 3",
    *(f"DELETE FROM {table} WHERE id = ?1" for table in _OF_BLOCKS),
)
UNSEAL_ALL = tuple(f"DELETE FROM {table}" for table in ("pairs", "orders", *_OF_BLOCKS))
CLEAR = (
    "DROP TRIGGER spans_removed",  # without them all rows go at once
    "DROP TRIGGER block_delete",
    "DELETE FROM spans",
    *UNSEAL_ALL,
    "DELETE FROM traces",
    "DELETE FROM facets",
    "DELETE FROM resources",
    _TRIGGERS[2],
    _UNSEALING[2],
)
COUNT = """
    UPDATE facets SET
        roots = (SELECT count(*) FROM spans WHERE facet = facets.id AND root > 0),
        others = (SELECT count(*) FROM spans WHERE facet = facets.id AND root = 0)"""
