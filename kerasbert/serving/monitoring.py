"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64)


class Monitoring:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "code")
        self.requests = Counter("kerasbert_requests", "Requests by their answer.", labels, registry=self.registry)
        self.seconds = Histogram(
            "kerasbert_request_seconds", "From the first byte to the answer.", buckets=_SECONDS, registry=self.registry
        )
        self.run_seconds = Histogram(
            "kerasbert_run_seconds", "Runs of the model.", buckets=_SECONDS, registry=self.registry
        )
        self.run_rows = Histogram("kerasbert_run_rows", "Rows of a run.", buckets=_ROWS, registry=self.registry)
        self.waiting = Gauge("kerasbert_waiting_rows", "Rows that wait for a run.", registry=self.registry)
        self.version = Gauge("kerasbert_model_version", "The version that is served.", registry=self.registry)

    def observe_run(self, rows: int, seconds: float) -> None:
        """Counts a run of the model."""
        self.run_rows.observe(rows)
        self.run_seconds.observe(seconds)

    def text(self, waiting: int, version: int) -> bytes:
        """Everything in Prometheus's text format."""
        self.waiting.set(waiting)
        self.version.set(version)
        return generate_latest(self.registry)
