"""`${NAME}` and `${NAME:DEFAULT}`, in configuration files and in values of configuration entries (07 §4.2)."""

import re

ENGINE_VERSION_DEFAULT = "__III_ENGINE_VERSION__"  # as a default, it stands for the version of this engine
PLACEHOLDER = re.compile(r"\$\{([^}:]+)(?::([^}]*))?\}")
