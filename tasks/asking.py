"""Asking Prefect's server something that is not worth waiting for."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.context import SettingsContext, get_settings_context


@contextmanager
def asking_once() -> Iterator[None]:
    """Have a request fail that the server does not answer; Prefect would repeat it for a minute."""
    context = get_settings_context()
    client = context.settings.client.model_copy(update={"max_retries": 0})
    # copied, as `temporary_settings` would take 70 ms to read all settings anew
    with SettingsContext(profile=context.profile, settings=context.settings.model_copy(update={"client": client})):
        yield
