"""Every number that bounds the wire or a wait for it, once (00 §7). Sizes in bytes; durations say their unit.

The reference page of limits is made from the comments above them: whole sentences, with the rules behind.
"""

KIB = 1024
MIB = 1024 * KIB

# -- Message sizes
# Longest message that the engine and the SDK accept. (L5)
INBOUND_MESSAGE_BYTES = 64 * MIB
# Longest message that is sent to a receiver which announces `large-messages.v1`. (L13)
RECEIVER_LARGE_BYTES = 64 * MIB
# Longest message that is sent to any other receiver. (L13)
RECEIVER_DEFAULT_BYTES = 16 * MIB
# Longest message that is sent to Python clients before 0.24, which disconnect above it. (L13, 01 §2.1)
RECEIVER_OLD_PYTHON_BYTES = 1 * MIB
# Size of the fragments in which larger messages are sent. (01 §2.1)
FRAGMENT_BYTES = 1 * MIB
# Longest frame of several messages, for a receiver which announces `batch.v1`. (29 §1)
BATCH_BYTES = 16 * KIB
# Larger messages are decoded by another process of the engine, since decoding them would hold its event loop.
LARGE_MESSAGE_BYTES = 2 * MIB
# Longest payload of a builtin function that stores or forwards values; the event loop reads through all of it.
BUILTIN_VALUE_BYTES = 8 * MIB
# Longest payload of any other builtin function: names and numbers, which are decoded into objects.
BUILTIN_REQUEST_BYTES = 512 * KIB
# Longest text with NaN, Infinity or lone surrogates that is corrected; longer ones are refused. (L14)
MENDED_BYTES = 8 * MIB
# Longest result of a job that a queue keeps; a longer one is dropped. (13 §3)
JOB_RESULT_BYTES = 256 * KIB
# Most bytes of the log records that the engine keeps, beside `logs_max_count`. (06 §10.1)
LOG_STORE_BYTES = 64 * MIB
# Longest log record that is kept whole, as JSON; of a longer one the attributes are left out, or the body is cut. (06 §10.1)
LOG_RECORD_BYTES = 256 * KIB
# Most bytes of log records in one answer of `engine::logs::list`; `total` counts the others. (06 §10.4)
LISTED_LOG_BYTES = 8 * MIB
# Rate at which one `log` trigger calls its function, after the first thousand records. (06 §12.1)
LOG_DELIVERIES_PER_S = 200
# Most records that a `log` trigger delivers at once.
LOG_DELIVERIES = 1000
# Most bytes of log records that wait to be delivered.
LOG_DELIVERY_BYTES = 16 * MIB
# Most spans of 300 ms that `trace` triggers and live streams look at. (19 §1)
WATCHED_SPANS = 10_000
# Most bytes of attributes and events of these spans.
WATCHED_SPAN_BYTES = 32 * MIB
# Most bytes of spans in one event of a live stream, unless one span alone has more. (19 §2)
LIVE_EVENT_BYTES = 256 * KIB
# Most groups of live streams that are fed.
FOLLOWED_GROUPS = 1000
# Longest `baggage` whose entries are read and handed on; a longer one counts as empty, as W3C allows. (06 §3)
BAGGAGE_CHARACTERS = 8192
# Most attributes of a span that a worker makes, and of each of its events; further ones are dropped and counted. (08 §17.4)
SPAN_ATTRIBUTES = 128
# Most events of a span that a worker makes; further ones are dropped and counted. (08 §17.4)
SPAN_EVENTS = 128
# Longest value of an attribute of such a span, in characters; longer ones are cut. (08 §17.4)
SPAN_VALUE_CHARACTERS = 16_384
# About the most characters of all attributes and events of such a span, as JSON; further ones are dropped and counted. (08 §17.4)
SPAN_CHARACTERS = 1 * MIB
# Longest payload that a worker shows in a span, whatever `III_TRACE_PAYLOAD_MAX_BYTES` says; longer ones are cut. (08 §7.4)
SHOWN_PAYLOAD_BYTES = 128 * KIB
# Longest value of a configuration entry, as JSON; its schema and its metadata are limited to the same. (18 §2.5)
CONFIGURATION_VALUE_BYTES = 256 * KIB
# Most lists, objects and members in a value of a configuration entry, in its schema and in its metadata. (18 §2.5)
CONFIGURATION_VALUES = 20_000
# Most placeholders in a value of a configuration entry. (18 §2.5)
CONFIGURATION_PLACEHOLDERS = 1000
# Longest file of a configuration entry; a longer one is not read. (18 §2.5)
CONFIGURATION_FILE_BYTES = 4 * MIB
# Most configuration entries; further ones are refused. (18 §2.5)
CONFIGURATION_ENTRIES = 1000
# Most bytes of all configuration entries together; what exceeds them is refused. (18 §2.5)
CONFIGURATION_BYTES = 64 * MIB
# Deepest JSON that is accepted, in levels; Python clients fail on deeper JSON, up to 0.23 silently. (01 §12.1)
NESTING_LEVELS = 500

# -- Counting
# Most functions whose calls are counted each for itself; calls of further ones are counted together, as `other`.
TALLIED_FUNCTIONS = 10_000
# Most functions that no worker ever had whose refused calls are counted each for itself: those that were called last.
MISSED_FUNCTIONS = 100
# Most error codes of one function that are counted each for itself.
TALLIED_CODES = 32
# Most combinations of method, route and status of HTTP requests that are measured each for itself; further ones are `other`.
HTTP_HISTOGRAMS = 300
# Most queues and destinations of topics that are shown each for itself in metrics; further ones are `other`.
MEASURED_QUEUES = 250
# Samples of how full queues are that `engine::queue::history` keeps, of as many queues as metrics show: an hour.
QUEUE_SAMPLES = 360
# Longest id of a trace or span in telemetry of workers; a span with a longer one is left out, a log record loses it. (06 §2.9)
TELEMETRY_ID_CHARACTERS = 128
# Most buckets of a histogram of a worker; a point with more is left out.
HISTOGRAM_BUCKETS = 10_000
# Most samples of workers' metrics on `/metrics`; points of further series are left out there. (16 §5)
WORKER_SAMPLES = 10_000
# Longest attributes of a worker's metric on `/metrics`, in characters of keys and values together.
WORKER_LABEL_CHARACTERS = 2_000
# Time without a new point after which a series of a worker is shown no more on `/metrics`.
WORKER_SERIES_S = 300.0
# Longest metric of a worker that is kept, as JSON with its points; longer ones are dropped and counted.
METRIC_BYTES = 1 * MIB
# About the most bytes of metrics that are kept; the oldest make room.
METRIC_STORE_BYTES = 32 * MIB
# Most names of metrics that are kept at once; metrics of further names are dropped and counted. (16 §2)
METRIC_NAMES = 10_000
# Most rollups that are kept of one level; the oldest make room. (16 §4)
ROLLUPS = 50_000

# -- Queues
# When more bytes wait for a worker connection, the connections that send to it are read slowly. (P5)
OUTBOUND_HIGH_BYTES = 8 * MIB
# When no more bytes than this wait for a worker connection, those that send to it are read at full speed again.
OUTBOUND_LOW_BYTES = 4 * MIB
# When more bytes wait for a worker connection, calls to it are refused; one message always fits. (P5, L12)
OUTBOUND_QUEUE_BYTES = 64 * MIB
# When more bytes wait for a worker connection, answers and registrations for it are dropped too.
OUTBOUND_LIMIT_BYTES = 2 * OUTBOUND_QUEUE_BYTES
# Shortest pause between two messages of a connection that sends to one which reads slowly. (P5)
SLOW_DOWN_S = 0.020
# Longest such pause, after a large message.
SLOW_DOWN_AT_MOST_S = 5.0
# Rate of all senders together towards a receiver that reads slowly, in bytes per second.
PACE_BYTES_PER_S = 64 * MIB
# That rate is halved for each so many bytes that wait for the receiver.
PACE_HALVED_BYTES = 4 * MIB
# A receiver that has taken no byte for this time counts as not reading, and its senders no longer wait for it.
DEAF_S = 1.0
# A connection is closed when none of the bytes that wait for it has left for this time. (P5)
OUTBOUND_STALL_S = 60.0
# Most messages that the SDK keeps while it is disconnected; beyond that the oldest are dropped. (08 §5)
OFFLINE_QUEUE_MESSAGES = 1000
# Most bytes of these messages; one message always fits.
OFFLINE_QUEUE_BYTES = 16 * MIB
# When more bytes of the SDK wait for an engine that is not reading, further calls of the worker wait. (P5)
UNREAD_HIGH_BYTES = 16 * MIB
# When no more bytes than this wait, the calls of the worker go on.
UNREAD_LOW_BYTES = 4 * MIB
# When more bytes than this wait, which only answers can cause, the SDK stops reading calls.
UNREAD_DEAF_BYTES = 64 * MIB
# Longest message that registers something; set with `max_registration_bytes`. (P6)
REGISTRATION_BYTES = 4 * MIB
# Most bytes of all that one connection has registered; set with `max_registrations_bytes`. (P6)
REGISTRATIONS_BYTES = 64 * MIB
# Most functions that the config of a session's trigger names, or the args of its observer. (20 §4)
NAMED_FUNCTIONS = 1000
# Most bytes of the calls of one connection that wait for registrations; set with `max_waiting_bytes`. (P6)
HELD_CALLS_BYTES = 64 * MIB
# Most calls of one connection that wait for registrations. (N2)
HELD_CALLS = 10_000
# Most registrations and calls of one connection that wait for a registration hook. (20 §3)
GATED_STEPS = 10_000
# Most addresses whose failed logins are remembered. (L8)
LOGIN_ADDRESSES = 10_000
# Most connections of one address that wait for their login; further ones are refused at once. (L8)
WAITING_LOGINS = 100
# Most registrations of one connection before its namespace is known. (N2)
BUFFERED_REGISTRATIONS = 100_000

# When more bytes of telemetry of workers wait to be read, further frames are dropped and counted. (06 §2.11)
TELEMETRY_WAITING_BYTES = 128 * MIB
# Longest compact frame of spans; a longer one is dropped and counted. (17 §9)
COMPACT_FRAME_BYTES = 512 * KIB
# Most of the attributes, events and payloads of one span in a compact frame; a frame with more is dropped and counted. (17 §9)
COMPACT_SPAN_BYTES = 64 * KIB

# -- Connections
# Longest time from accepting a connection to its complete request head; set with `handshake_timeout_ms`. (01 §1.1)
HANDSHAKE_TIMEOUT_MS = 10_000
# Interval of WebSocket pings. (L7)
PING_INTERVAL_S = 20.0
# A connection without any inbound frame for this time is closed, unless it is handling a call. (L7)
SILENCE_S = 60.0
# Longest time from an answer of the console or of `prometheus_port` to the next complete request of its connection. (16 §5, 23 §2)
KEPT_ALIVE_S = 75.0
# Most connections to `prometheus_port`; further ones are closed. (16 §5)
METRICS_CONNECTIONS = 100
# Longest time from a connection to `prometheus_port` to its first complete request. (16 §5)
METRICS_SILENT_S = 15.0
# Pause of a listener that cannot accept connections. (01 §1.1)
ACCEPT_ERROR_PAUSE_S = 1.0
# Longest wait of the SDK for the engine to accept a worker; an engine that does not answer counts as an old one. (P10)
ACCEPTANCE_S = 10.0
# Time for which the SDK retries a worker name that is taken. (P10)
NAME_TAKEN_S = 90.0

# -- Registrations
# Silence after which buffered registrations of an unannounced worker apply. (N2)
IDLE_RELEASE_S = 0.050
# Longest wait for the announcement of a worker; set with `registration_namespace_grace_ms`. (01 §6.2)
NAMESPACE_GRACE_MS = 5_000
# A worker whose name another one asks for answers a ping within this time, or is disconnected. (P10)
NAME_CHALLENGE_S = 2.0
# Default time for what a draining worker runs. (P12)
DRAIN_MS = 30_000
# Longest time that a drain may be given.
LONGEST_DRAIN_S = 24 * 3600
# Interval at which a draining worker looks whether it runs anything.
DRAIN_LOOK_S = 0.020
# A client without `reattach` that connects again within this time is the process that was drained. (P12)
DRAINED_S = 120.0
# Most drained workers that are remembered.
DRAINED_WORKERS = 10_000
# Longest wait of `engine::register_trigger` for the worker that provides the trigger type. (01 §7.8)
PROVIDER_ACK_S = 10.0
# Longest wait for the answer of a condition function. (T7, I6)
CONDITION_TIMEOUT_S = 30.0
# Longest wait for the answer of an auth function; set with `rbac.auth_timeout_ms`. (20 §1)
AUTH_S = 10.0
# Longest wait for the answer of a registration hook; set with `rbac.hook_timeout_ms`. (20 §3)
HOOK_S = 30.0
# Longest time for which a failed login delays the next one of its address; the delay begins with 0.1 s and doubles. (L8)
LOGIN_DELAY_S = 5.0

# -- Observers
# Most observers of one connection. (21 §12)
OBSERVERS = 10_000
# Most observers of one connection on one function.
OBSERVERS_OF_FUNCTION = 1000
# Most bytes of all observers of one connection, and of all observers on one function.
OBSERVERS_BYTES = 8 * MIB
# Most observers of one engine.
ALL_OBSERVERS = 100_000
# Most bytes of all observers of one engine.
ALL_OBSERVERS_BYTES = 256 * MIB
# Longest id of an observer.
OBSERVER_ID_BYTES = 256
# Longest args of an observer.
OBSERVER_ARGS_BYTES = 64 * KIB
# Longest metadata of an observer.
OBSERVER_METADATA_BYTES = 64 * KIB
# Longest name of a function or namespace in an observer.
OBSERVER_NAME_BYTES = 4 * KIB
# Activations of one observer that run at once, unless its `max_in_flight` says another number. (21 §10)
OBSERVER_IN_FLIGHT = 64
# Most activations of one observer that wait for others to end; further ones are dropped and counted.
OBSERVER_WAITING = 1024
# Most bytes of the activations of one observer that wait.
OBSERVER_WAITING_BYTES = 16 * MIB
# Most bytes of the activations of all observers that wait.
ALL_WAITING_BYTES = 256 * MIB
# Most bytes of the payloads of observed calls that are kept until their answer; observers miss further calls.
OBSERVED_BYTES = 256 * MIB
# An activation that has no answer for this time no longer counts as running.
ACTIVATION_S = 300.0
# Deepest chain of observers that cause each other's calls. (21 §8)
OBSERVE_DEPTH = 8
# Time for which the observers of a lost connection are kept. (21 §6)
OBSERVERS_KEPT_S = 30.0
# Longest wait for the host of a function to acknowledge an observer. (21 §11)
OBSERVER_ACK_S = 30.0
# Longest part of a call that filters look into; observers whose filters do miss calls with longer ones.
FILTERED_BYTES = 1 * MIB
# Most lists, objects and members of such a part.
FILTERED_VALUES = 100_000
# Most looks that the `$any`s of all filters take at the values of one call; further observers whose filters have one miss it.
FILTER_LOOKS = 100_000
# Most messages about observers that wait for the announcement of their connection.
HELD_OBSERVES = 20_000
# Most bytes of these messages.
HELD_OBSERVES_BYTES = 16 * MIB
# Longest `caller` that a worker says of a call; a longer one is left out.
ASSERTED_CALLER_BYTES = 16 * KIB
# Most calls that one message reports.
REPORTED_CALLS = 10_000
# Most observers that a report names for one call.
MATCHED_OBSERVERS = 10_000

# -- Texts
# Longest name and longest description of a worker, in code points. (01 §6.1)
NAME_CODE_POINTS = 280
# Longest summary of a trigger's configuration in lists, in code points. (02 §5.9)
CONFIG_SUMMARY_CODE_POINTS = 80
# Most distinct `function_ids` of one info call. (02 §5.3)
INFO_BATCH_IDS = 32

# -- Events
# Quiet period before `engine::functions-available` fires. (W6)
FUNCTIONS_QUIET_S = 0.200
# Longest time from the first unpublished change until `engine::functions-available` fires. (W6)
FUNCTIONS_LATEST_S = 1.0
# Age from which the metrics of a worker are no longer shown. (02 §4.5)
METRICS_FRESH_S = 120.0

# -- Calls and channels
# Default time-out of calls of the SDK and the command line. (08 §4.2)
INVOCATION_TIMEOUT_MS = 30_000
# Longest time-out of a call; one that asks for more gets this. (P7)
LONGEST_TIMEOUT_MS = 365 * 24 * 3_600_000
# Messages that a channel holds for a slow reader, unless its creator says another number. (07 §2.1)
CHANNEL_BUFFER_DEFAULT = 64
# Most messages that the creator of a channel may ask for; larger numbers count as this. (07 §2.1)
CHANNEL_BUFFER_MAX = 1024
# Channels that one connection, or all sessions of one identity, may have at once; set with `max_channels`. (07 §2.6)
OPEN_CHANNELS = 10_000
# Lifetime of a channel with an end that no worker has opened; set with `channel_ttl_seconds`. (07 §2.6)
CHANNEL_TTL_S = 300.0
# Wait for frames that a writer sent right behind its Close. (07 §2.5)
CHANNEL_DRAIN_S = 0.010

# -- Console
# Time without a request after which a login of the console ends; set with `session_seconds`. (23 §3)
CONSOLE_SESSION_S = 12 * 3600
# Most open logins of a console; the one that was not used for longest ends. (23 §3)
CONSOLE_SESSIONS = 1_000
# Actions that the console shows as the latest. (23 §4)
CONSOLE_ACTIONS = 500
# Most connections to the console; further ones are closed. (23 §2)
CONSOLE_CONNECTIONS = 500
# Longest time from a connection to the console to its first request. (23 §2)
CONSOLE_SILENT_S = 15.0
# Longest body of a request to the console. (23 §2)
CONSOLE_BODY_BYTES = 10 * MIB
# Longest time that a body takes to come to the console. (23 §2)
CONSOLE_BODY_S = 60.0
# Longest body of a login; it is read before anybody is known. (23 §3)
CONSOLE_LOGIN_BYTES = 16 * KIB
# Longest time-out of a call from the console. (23 §4)
CONSOLE_CALL_MS = 600_000
# Most pages that get changes pushed at a time. (23 §6)
CONSOLE_PAGES = 100
# Most subscriptions of one page. (23 §6)
CONSOLE_SUBSCRIPTIONS = 32
# Most topics, told apart by their parameters, that all pages of a visitor follow. (23 §6)
CONSOLE_TOPICS = 250
# Longest time for which a page does not read what is pushed, before it is disconnected. (23 §6)
CONSOLE_STUCK_S = 30.0
# Most rows of a list that is pushed whole; a longer one is cut. (23 §6)
CONSOLE_ROWS = 2_000
# Most rows of one page of a list. (23 §5)
CONSOLE_PAGE_ROWS = 500
