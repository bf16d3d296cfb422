"""The place of the reference's product telemetry: there is none here (O9)."""
