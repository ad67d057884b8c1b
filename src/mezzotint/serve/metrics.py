"""Numbers for Prometheus: queue, rows a call, seconds a stage, memory a model, answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from mezzotint.serve.service import PictureService

router = APIRouter(tags=["operation"])
_STAGES = ("network", "decoder", "text", "encoder", "steering", "elsewhere")
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300)


class ServerMetrics:
    """The numbers of one server, in a registry of its own."""

    def __init__(self, service: PictureService) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Engines(service))
        labels = ["method", "route", "status"]
        self._answers = Counter("mezzotint_answers", "HTTP answers.", labels, registry=self.registry)
        self._seconds = Histogram(
            "mezzotint_answer_seconds",
            "Until an answer was sent in full.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; `route` is a path with braces, so that there are few."""
        known = method if method in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS") else "other"
        self._answers.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """In the text form of Prometheus."""
    registry = request.app.state.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Engines(Collector):
    """Read when asked: what the queue and the engines count anyway."""

    def __init__(self, service: PictureService) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        drawn, waiting = self._service.board.counts()
        yield GaugeMetricFamily("mezzotint_queue_pictures", "Pictures that wait.", value=waiting)
        yield GaugeMetricFamily("mezzotint_drawn_pictures", "Pictures that engines have.", value=drawn)
        limit = self._service.settings.max_queue
        yield GaugeMetricFamily("mezzotint_queue_limit", "Pictures that may wait.", value=limit)
        pictures = CounterMetricFamily(
            "mezzotint_pictures", "Pictures by outcome.", labels=["model", "outcome"]
        )
        calls = CounterMetricFamily("mezzotint_network_calls", "Of the denoiser.", labels=["model"])
        rows = CounterMetricFamily("mezzotint_network_rows", "Rows that were asked for.", labels=["model"])
        padded = CounterMetricFamily("mezzotint_padded_rows", "Rows that fill a bucket.", labels=["model"])
        busy = CounterMetricFamily("mezzotint_busy_seconds", "Of the engine's thread.", labels=["model"])
        stage = CounterMetricFamily("mezzotint_stage_seconds", "By stage.", labels=["model", "stage"])
        weights = GaugeMetricFamily("mezzotint_model_bytes", "Of weights, on the disk.", labels=["model"])
        for host in self._service.hosts.loaded():
            stats = host.engine.stats
            for outcome, count in (
                ("finished", stats.pictures),
                ("failed", stats.failed),
                ("cancelled", stats.cancelled),
            ):
                pictures.add_metric([host.name, outcome], count)
            for family, value in (
                (calls, stats.calls),
                (rows, stats.rows),
                (padded, stats.padded),
                (busy, stats.busy),
            ):
                family.add_metric([host.name], value)
            for name in _STAGES:
                stage.add_metric([host.name, name], max(0.0, getattr(stats, name)))
            weights.add_metric([host.name], host.weight)
        yield from (pictures, calls, rows, padded, busy, stage, weights)
