"""The sockets of this process that workers opened: a forked child inherits every one, and must close it."""

import socket
import weakref

open_sockets: "weakref.WeakSet[socket.socket]" = weakref.WeakSet()
"""Those that may be connected, duplicates included."""
