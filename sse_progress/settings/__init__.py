"""Every setting of the service, declared in one place and checked once, at start.

Nothing is read at import; `load_settings()` reads, checks and raises.
"""

from sse_progress.settings.declared import DEFAULT_TYPES, WebRole
from sse_progress.settings.loading import SettingsError, env_file, load_settings
from sse_progress.settings.settings import Settings
from sse_progress.settings.values import Secret

__all__ = [
    "DEFAULT_TYPES",
    "Secret",
    "Settings",
    "SettingsError",
    "WebRole",
    "env_file",
    "load_settings",
]
