"""The moderation services that the settings name, as functions of the stage `moderating`."""

from __future__ import annotations

from sse_progress.model.stage_api import StageFunction
from sse_progress.settings import Settings
from sse_progress.stages.services.asking import Service
from sse_progress.stages.services.hook import ModerationHook
from sse_progress.stages.services.openai_api import OpenAiModeration
from sse_progress.uploads.components import hook_keys

__all__ = ["services_of"]


def services_of(settings: Settings) -> list[StageFunction]:
    """None, one or two of them. Raises SettingsError."""
    found: list[StageFunction] = []
    if settings.moderation_api_url is not None:
        key = settings.moderation_api_key
        found.append(
            OpenAiModeration(
                _service(f"moderation by {settings.moderation_api_model}", settings),
                base=settings.moderation_api_url,
                key=key.get_secret_value() if key else None,
                model=settings.moderation_api_model,
                refuse_at=settings.moderation_api_refuse,
            )
        )
    if settings.moderation_hook_url is not None:
        found.append(
            ModerationHook(
                _service("moderation by the hook", settings),
                url=settings.moderation_hook_url.get_secret_value(),
                keys=hook_keys(settings),
            )
        )
    return found


def _service(name: str, settings: Settings) -> Service:
    return Service(
        name=name, timeout_s=settings.moderation_timeout_s, fail=settings.moderation_fail
    )
