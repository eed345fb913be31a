"""Liveness asks nobody, readiness asks the stores, metrics count."""

from __future__ import annotations

import httpx
import pytest

from jacfn_runtime.http.metrics import Metrics
from services import Service, Start

FORWARDED = [{"X-Forwarded-For": "1.2.3.4"}, {"Forwarded": "for=1.2.3.4"}, {"K-Proxy-Request": "activator"}]


def metrics(text: str) -> dict[str, float]:
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if not line.startswith("#")}


def test_live_says_what_is_served(start: Start) -> None:
    with start("walker/echo,function/total") as service:
        live = service.http.get("/healthz/live").json()
    assert len(live.pop("bundle")) == 64
    assert live == {"status": "alive", "app": "testing", "serves": ["walker/echo", "function/total"]}


def test_ready_tells_of_each_store(everything: Service) -> None:
    answer = everything.http.get("/healthz/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "stores": {"embedded": "ok"}})


def test_metrics_count_by_endpoint_and_status(start: Start) -> None:
    with start("walker/echo") as service:
        for body in ({}, {}, {"text": 1}):
            service.http.post("/", json=body)
        service.http.get("/made/up/by/the/caller")
        counted = metrics(service.http.get("/metrics").text)
    assert counted['jacfn_requests_total{endpoint="walker/echo",status="200"}'] == 2
    assert counted['jacfn_requests_total{endpoint="walker/echo",status="422"}'] == 1
    assert counted['jacfn_requests_total{endpoint="other",status="404"}'] == 1
    assert counted['jacfn_request_duration_seconds_count{endpoint="walker/echo"}'] == 3
    assert counted['jacfn_request_duration_seconds_bucket{endpoint="walker/echo",le="+Inf"}'] == 3
    assert counted["jacfn_replays_total"] == 0
    assert counted["jacfn_loader_fallbacks_total"] == 0
    assert counted['jacfn_loader{loader="slim"}'] == 1
    assert 0 < counted["jacfn_cold_start_seconds"] < 60


@pytest.mark.parametrize("headers", FORWARDED)
def test_metrics_are_not_there_for_who_comes_through_an_ingress(everything: Service, headers: dict[str, str]) -> None:
    assert everything.http.get("/metrics", headers=headers).status_code == 404


def test_without_requests_there_is_nothing_to_count() -> None:
    assert "jacfn_requests_total{" not in Metrics().render().decode()


def test_a_duration_falls_into_the_first_bucket_that_holds_it() -> None:
    counters = Metrics()
    for seconds in (0.001, 0.0011, 100.0):
        counters.count("walker/a", 200, seconds)
    counted = metrics(counters.render().decode())
    bucket = 'jacfn_request_duration_seconds_bucket{endpoint="walker/a",le="%s"}'
    assert [counted[bucket % bound] for bound in ("0.001", "0.0025", "30.0", "+Inf")] == [1, 2, 2, 3]


def test_monitors_outside_learn_that_a_store_is_away_but_not_where_it_is(start: Start) -> None:
    away = "mongodb://hidden.internal.invalid:27017/app?serverSelectionTimeoutMS=200"
    with start("walker/echo", MONGODB_URI=away) as service:
        direct: httpx.Response = service.http.get("/healthz/ready")
        outside = service.http.get("/healthz/ready", headers=FORWARDED[0])
    assert direct.status_code == outside.status_code == 503
    assert int(outside.headers["retry-after"]) > 0
    assert outside.json() == {"status": "unavailable", "stores": {"mongodb": "unavailable"}}
    assert direct.json()["stores"]["mongodb"] not in ("ok", "unavailable")
