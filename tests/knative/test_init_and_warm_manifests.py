"""The init Job and the warm windows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_knative.app import Image
from jacfn_knative.errors import InvalidApp
from jacfn_knative.manifests import Object
from jacfn_knative.manifests.warm import DAY, STEP_MINUTES, Window
from knative.apps import BARE, KNATIVE, SHOP, environment, made, with_knobs


def init_job(app: object = SHOP, **versions: str) -> Object:
    (job,) = [item for name, item in made(app, KNATIVE, **versions).items() if name.startswith("Job/")]  # type: ignore[arg-type]
    return job


def test_the_init_job_is_named_after_the_bundle() -> None:
    assert init_job()["metadata"]["name"].startswith("shop-init-abababab-")
    assert init_job() == init_job()


def test_another_bundle_image_or_database_is_prepared_again() -> None:
    names = {
        init_job(app, **versions)["metadata"]["name"]
        for app, versions in (
            (SHOP, {}),
            (replace(SHOP, bundle=replace(SHOP.bundle, hash="cd" * 32)), {}),
            (replace(SHOP, image=Image(reference="other")), {}),
            (SHOP, {"shop-mongodb": "another address"}),
        )
    }
    assert len(names) == 4


def test_it_runs_once_and_a_drained_node_is_no_verdict() -> None:
    spec = init_job()["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "jacfn_runtime", "init"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "Ignore"


def test_main_is_passed_on() -> None:
    assert "JACFN_MAIN" not in environment(init_job()["spec"]["template"])
    assert environment(init_job(replace(SHOP, run_main=True))["spec"]["template"])["JACFN_MAIN"] == "1"


def warm(text: str) -> dict[str, Object]:
    app = with_knobs(with_knobs(SHOP, "walker/get_items", warm=text), "walker/create_item", warm=text)
    return {name: item for name, item in made(app).items() if name.startswith("CronJob/")}


def test_a_warm_window_is_a_cron_job_that_asks_every_endpoint_that_wants_it() -> None:
    (job,) = warm("08:00-18:00").values()
    assert job["spec"]["schedule"] == "0,10,20,30,40,50 8,9,10,11,12,13,14,15,16,17 * * *"
    assert job["spec"]["timeZone"] == "Etc/UTC"
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert [argument for argument in container["command"] if argument.startswith("http")] == [
        "http://shop-create-item-xu74ud.trade.svc/healthz/live",
        "http://shop-get-items-qhumao.trade.svc/healthz/live",
    ]


def test_a_warm_window_touches_no_template() -> None:
    services = {name: item for name, item in made().items() if name.startswith("ksvc/")}
    assert services.items() <= made(with_knobs(SHOP, "walker/get_items", warm="08:00-18:00")).items()


def test_a_cron_jobs_name_fits() -> None:
    app = with_knobs(replace(SHOP, name="a" * 36), "walker/get_items", warm="08:05-18:55")
    assert all(len(name.partition("/")[2]) <= 52 for name in made(app) if name.startswith("CronJob/"))


def test_odd_minutes_need_more_than_one_schedule() -> None:
    assert sorted(item["spec"]["schedule"] for item in warm("08:30-10:15").values()) == [
        "0,10 10 * * *", "0,10,20,30,40,50 9 * * *", "30,40,50 8 * * *",
    ]  # fmt: skip


def test_a_zone_is_the_clusters_to_know() -> None:
    (job,) = warm("22:00-06:00 Europe/Berlin").values()
    assert job["spec"]["timeZone"] == "Europe/Berlin"
    assert job["spec"]["schedule"] == "0,10,20,30,40,50 0,1,2,3,4,5,22,23 * * *"


@given(st.integers(0, DAY - 1), st.integers(0, DAY))
def test_schedules_fire_from_the_start_to_the_end_and_at_no_other_time(start: int, end: int) -> None:
    text = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    if start == end:
        return
    window = Window.parse(text)
    fired = set()
    for schedule in window.schedules():
        minutes, hours, *rest = schedule.split()
        assert rest == ["*", "*", "*"]
        fired |= {int(hour) * 60 + int(minute) for hour in hours.split(",") for minute in minutes.split(",")}
    assert len(window.schedules()) <= 3
    assert fired == {tick % DAY for tick in range(window.start, window.end, STEP_MINUTES)}
    assert 0 < window.end - window.start <= DAY


@pytest.mark.parametrize(
    "text", ["all day", "8-18", "08:00", "08:00-08:00", "25:00-26:00", "08:60-09:00", "08:00-24:01", "08:00-18:00 ;"]
)
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(InvalidApp, match="no time of day"):
        warm(text)


def test_without_knative_nothing_sleeps_and_nothing_is_kept_warm() -> None:
    app = with_knobs(SHOP, "walker/get_items", warm="08:00-18:00")
    assert not [name for name in made(app, BARE) if name.startswith("CronJob/")]
