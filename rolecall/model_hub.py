"""Which model hub the settings name."""

from pipelines.engines.hub import Hub
from rolecall.settings import Settings


def hub_of(settings: Settings) -> Hub:
    """`models.hub_url` goes before HF_ENDPOINT; either of `models.offline` and HF_HUB_OFFLINE forbids all."""
    named = Hub()
    return Hub(
        url=settings.models.hub_url or named.url,
        token=settings.hf_token.get_secret_value() if settings.hf_token else "",
        offline=settings.models.offline or named.offline,
    )
