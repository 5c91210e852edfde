"""What `/metrics` shows: counted where it happens, one registry an application."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_GAPS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)

_WAITS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class Metrics:
    """Prometheus metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.refusals = Counter(
            "rolecall_refusals",
            "Requests, handshakes and streams that were turned away.",
            ["code"],
            registry=self.registry,
        )
        self.calls_active = Gauge("rolecall_calls_active", "Calls in progress.", registry=self.registry)
        self.calls = Counter(
            "rolecall_calls", "Calls that are over, by reason.", ["reason"], registry=self.registry
        )
        self.messages_refused = Counter(
            "rolecall_media_messages_refused",
            "Malformed messages dropped in calls.",
            registry=self.registry,
        )
        self.engine_failures = Counter(
            "rolecall_engine_failures",
            "Engines that failed in a call.",
            ["part", "engine"],
            registry=self.registry,
        )
        self.engine_queue = Gauge(
            "rolecall_engine_queue",
            "Pieces of work that wait for an engine's thread.",
            ["pool"],
            registry=self.registry,
        )
        self.engine_wait_s = Histogram(
            "rolecall_engine_wait_seconds",
            "How long a piece of work waited for an engine's thread.",
            ["pool"],
            buckets=_WAITS_S,
            registry=self.registry,
        )
        self.phrases_cached_bytes = Gauge(
            "rolecall_phrases_cached_bytes", "Speech kept for phrases that recur.", registry=self.registry
        )
        self.response_gap_s = Histogram(
            "rolecall_response_gap_seconds",
            "Trainee's last sound to persona's first, as recorded.",
            buckets=_GAPS_S,
            registry=self.registry,
        )
