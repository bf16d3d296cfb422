"""Keys of attributes whose values are not kept, of spans and log records alike (06 §7.1)."""

REDACTED = "[REDACTED]"
SECRET_KEYS = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "api_key", "access_token",
        "refresh_token", "password", "secret", "credential",
    }
)  # fmt: skip
