"""Observers: functions of one worker that are called for calls of another's (21)."""
