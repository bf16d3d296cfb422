"""Every number that bounds the wire or a wait, once (00 §7). Sizes in bytes; durations say their unit."""

KIB = 1024
MIB = 1024 * KIB

# Message sizes
INBOUND_MESSAGE_BYTES = 64 * MIB  # what engine and SDK accept in one message (L5)
RECEIVER_LARGE_BYTES = 64 * MIB  # receivers that announce `large-messages.v1` (L13)
RECEIVER_DEFAULT_BYTES = 16 * MIB  # everybody else (L13)
RECEIVER_OLD_PYTHON_BYTES = 1 * MIB  # Python clients before 0.24 hang up above it (L13, 01 §2.1)
FRAGMENT_BYTES = 1 * MIB  # larger messages leave as fragments of this size (01 §2.1)
LARGE_MESSAGE_BYTES = 2 * MIB  # larger ones are decoded by another process of the engine: they would hold its loop
BUILTIN_VALUE_BYTES = 8 * MIB  # payload of a builtin that takes values as they are; the loop looks through all of it
BUILTIN_REQUEST_BYTES = 512 * KIB  # payload of any other: names, numbers and the like, which become objects
MENDED_BYTES = 8 * MIB  # larger texts with NaN, Infinity or lone surrogates are refused, not mended (L14)
JOB_RESULT_BYTES = 256 * KIB  # of a job of a queue that keeps results; a larger one is dropped (13 §3)
NESTING_LEVELS = 500  # deeper JSON is refused: Python clients fail on it, and up to 0.23 stay deaf (01 §12.1)

# Queues
OUTBOUND_HIGH_BYTES = 8 * MIB  # more waits for one worker connection: what feeds it is read slowly (P5)
OUTBOUND_LOW_BYTES = 4 * MIB  # until so little waits
OUTBOUND_QUEUE_BYTES = 64 * MIB  # then, plus one message, calls are refused (P5, L12)
OUTBOUND_LIMIT_BYTES = 2 * OUTBOUND_QUEUE_BYTES  # then answers and registrations are dropped too
SLOW_DOWN_S = 0.020  # a connection that feeds such a one has a message read each so long, at least (P5); large ones
SLOW_DOWN_AT_MOST_S = 5.0  # to a receiver that reads count more, up to this
PACE_BYTES_PER_S = 64 * MIB  # of all senders to such a receiver
PACE_HALVED_BYTES = 4 * MIB  # and half of it for each so much that waits for it
DEAF_S = 1.0  # a receiver that has taken nothing for so long does not read: waiting for it helps no one
OUTBOUND_STALL_S = 60.0  # none of the bytes that wait has left for so long: the connection is ended (P5)
OFFLINE_QUEUE_MESSAGES = 1000  # of the SDK while disconnected; the oldest goes (08 §5)
OFFLINE_QUEUE_BYTES = 16 * MIB  # of the same; one message always fits
UNREAD_HIGH_BYTES = 16 * MIB  # of the SDK towards an engine that does not read: further calls wait for it (P5)
UNREAD_LOW_BYTES = 4 * MIB  # until so little waits
UNREAD_DEAF_BYTES = 64 * MIB  # so much, which only answers reach: the SDK reads no further calls either
REGISTRATION_BYTES = 4 * MIB  # one message that registers something (P6); `max_registration_bytes`
REGISTRATIONS_BYTES = 64 * MIB  # all that one connection has registered (P6); `max_registrations_bytes`
HELD_CALLS_BYTES = 64 * MIB  # calls of one connection that wait for registrations (P6); `max_waiting_bytes`
HELD_CALLS = 10_000  # calls of one connection that wait for somebody's registrations (N2)
BUFFERED_REGISTRATIONS = 100_000  # of one connection before its namespace is known (N2)

# Connections
HANDSHAKE_TIMEOUT_MS = 10_000  # complete request head after accept (01 §1.1)
PING_INTERVAL_S = 20.0  # WebSocket ping (L7)
SILENCE_S = 60.0  # without any inbound frame: dead, unless it is handling a call (L7)
ACCEPT_ERROR_PAUSE_S = 1.0  # of a listener that cannot accept (01 §1.1)

ACCEPTANCE_S = 10.0  # for the engine to answer an announcement; one that does not counts as an old one (P10)
NAME_TAKEN_S = 90.0  # the SDK retries a worker name that is taken for so long (P10)

# Registrations
IDLE_RELEASE_S = 0.050  # silence after which buffered registrations apply unannounced (N2)
NAMESPACE_GRACE_MS = 5_000  # longest wait for an announcement (01 §6.2)
NAME_CHALLENGE_S = 2.0  # a worker whose name another one wants answers a ping within that, or is dropped (P10)
DRAIN_MS = 30_000  # what a draining worker runs may last so long (P12)
LONGEST_DRAIN_S = 24 * 3600
DRAIN_LOOK_S = 0.020  # between two looks whether it runs anything
DRAINED_S = 120.0  # a client without `reattach` that connects so soon again is the process that was drained (P12)
DRAINED_WORKERS = 10_000  # that are remembered
PROVIDER_ACK_S = 10.0  # `engine::register_trigger` waits so long for a worker provider (01 §7.8)
CONDITION_TIMEOUT_S = 30.0  # for the answer of a condition (T7, I6)

# Texts
NAME_CODE_POINTS = 280  # worker name and description (01 §6.1)
CONFIG_SUMMARY_CODE_POINTS = 80  # of a trigger's configuration in lists (02 §5.9)
INFO_BATCH_IDS = 32  # distinct `function_ids` of one info call (02 §5.3)

# Events
FUNCTIONS_QUIET_S = 0.200  # quiet period before `engine::functions-available` (W6)
FUNCTIONS_LATEST_S = 1.0  # after the first unpublished change (W6)
METRICS_FRESH_S = 120.0  # older worker gauges are not shown (02 §4.5)

# Calls and channels
LONGEST_TIMEOUT_MS = 365 * 24 * 3_600_000  # of a call; one that asks for more has so much (P7)
INVOCATION_TIMEOUT_MS = 30_000  # default wait of SDK and command line (08 §4.2)
CHANNEL_BUFFER_DEFAULT = 64  # messages (07 §2.1)
CHANNEL_BUFFER_MAX = 1024
CHANNEL_TTL_S = 300.0  # of a channel with an end that no worker has opened (07 §2.6); `channel_ttl_seconds`
CHANNEL_DRAIN_S = 0.010  # for what a writer sent right behind its Close (07 §2.5)
