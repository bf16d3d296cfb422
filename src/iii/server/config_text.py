"""The text of a configuration file: as it is read, and as it is when it is created (07 §4.1, C2)."""

import os
import stat
from pathlib import Path

from iii.net.opening import open_at_once
from iii.protocol.limits import MIB
from iii.protocol.start_failure import StartFailure

DEFAULT_PATH = "config.yaml"
DEFAULT_PORT = 49_134
_FILE_BYTES = 16 * MIB

# Lists what exists by now (C2); comments tell a newcomer what to do next.
NEW_FILE = f"""\
# Configuration of the iii engine, read by `iii` in this directory (another file: `iii -c FILE`).
# `workers` lists the modules that run. Text may contain ${{NAME}} or ${{NAME:default}}, filled from the environment.
# All keys and their defaults: docs/reference/configuration.md
workers:
  - name: iii-worker-manager      # where workers connect
    config:
      host: 127.0.0.1             # this machine only; 0.0.0.0 lets every machine in
      port: {DEFAULT_PORT}
  - name: iii-http                # functions over HTTP: triggers of type `http`
    config:
      host: 127.0.0.1
      port: 3111
  - name: iii-state               # values that workers share
    config:
      adapter:
        name: kv
        config: {{store_method: file_based, file_path: ./data}}   # in_memory: lost when the engine exits
  - name: iii-stream              # items whose changes reach browsers live
    config:
      host: 127.0.0.1
      port: 3112
      adapter:
        name: kv
        config: {{store_method: file_based, file_path: ./data}}
  - name: iii-queue               # durable jobs: queues, topics, retries, dead letters
    config:
      adapter:
        name: builtin
        config: {{store_method: file_based, file_path: ./data}}
      queue_configs:
        default: {{concurrency: 10, max_retries: 3}}   # your own queues beside it; type: fifo keeps order
  - name: iii-pubsub              # messages to all current subscribers
  - name: iii-cron                # functions called on a schedule
  - name: iii-console             # what happens, in a browser: http://127.0.0.1:3113
    config:
      port: 3113
  - name: iii-observability       # log output of the engine
    config:
      level: info                 # trace, debug, info, warn, error; or a list such as info,iii.engine=debug
"""


class NoConfigFile(StartFailure):
    """What should be the configuration file is missing, or is no regular file.

    Attributes:
        what: that, without what somebody who starts the engine does about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what


def create(path: Path) -> None:
    """Write a first configuration file where none is. Raises StartFailure if it cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(NEW_FILE)
    except FileExistsError:
        raise StartFailure(f"{path} is a broken symbolic link; remove it, or create its target") from None
    except OSError as error:
        raise StartFailure(
            f"cannot create {path}: {error.strerror}; create it yourself, or start with --use-default-config"
        ) from None


def read_text(path: Path) -> str:
    """Raises StartFailure: NoConfigFile where there is no file to read."""
    try:
        with open(path, "rb", opener=open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                what = f"{path} is {_kind(status.st_mode)}, not a regular file"
                raise NoConfigFile(what, f"name a file: -c {DEFAULT_PATH}")
            if status.st_size > _FILE_BYTES:
                raise StartFailure(
                    f"{path}: {status.st_size} bytes exceed the limit of {_FILE_BYTES} for a configuration file"
                )
            return file.read(_FILE_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise NoConfigFile(f"Config file not found: '{path}'", "create it, or pass --use-default-config") from None
    except IsADirectoryError:
        remedy = f"name the file: -c {path}/{DEFAULT_PATH}"
        raise NoConfigFile(f"{path} is a directory, not a configuration file", remedy) from None
    except UnicodeDecodeError as error:
        raise StartFailure(f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from None
    except OSError as error:
        raise StartFailure(f"cannot read {path}: {error.strerror}") from None


def _kind(mode: int) -> str:
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
