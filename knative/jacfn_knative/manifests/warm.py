"""Warm windows: in the given time of each day something asks the endpoints, so that they do not fall asleep.

A CronJob does it and never touches the services' templates: a changed template would be a new revision. Every ten minutes it
starts a pod that asks for ten minutes; so a deploy in the middle of a window, a lost node or a missed tick costs ten minutes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from jacfn_knative.errors import InvalidApp
from jacfn_knative.manifests import pods
from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.gateway import routes
from jacfn_knative.manifests.kinds import Object

STEP_MINUTES = 10
PAUSE_SECONDS = 5  # below the autoscaler's smallest window (6 s), so that no window passes without a request
DAY = 24 * 60

ASK = """
import sys, time, urllib.request
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for url in sys.argv[3:]:
        try:
            urllib.request.urlopen(url, timeout=30).read()
        except OSError as error:
            print(url, error, flush=True)
    time.sleep(float(sys.argv[2]))
""".strip()


@dataclass(frozen=True)
class Window:
    """A time of each day, in minutes after midnight; `end` may lie after midnight, up to one day after `start`."""

    start: int
    end: int
    zone: str

    @classmethod
    def parse(cls, text: str) -> Window:
        """`08:00-18:00`, `22:30-06:00 Europe/Berlin`. Raises InvalidApp."""
        match = re.fullmatch(r"(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)(?:\s+([A-Za-z][A-Za-z0-9_+/-]*))?", text.strip())
        if match:
            hour, minute, end_hour, end_minute = (int(match[group]) for group in (1, 2, 3, 4))
            start, end = hour * 60 + minute, end_hour * 60 + end_minute
            if minute < 60 and end_minute < 60 and start < DAY and end <= DAY and start != end:
                return cls(start, end if end > start else end + DAY, match[5] or "Etc/UTC")
        raise InvalidApp(
            f"warm = {text!r} is no time of day", next_step='Write "08:00-18:00", or with a zone "08:00-18:00 Europe/Berlin".'
        )

    def schedules(self) -> list[str]:
        """Cron schedules that fire at `start` and every ten minutes until `end`, at most three of them."""
        hours: dict[int, list[int]] = {}
        for tick in range(self.start, self.end, STEP_MINUTES):
            hours.setdefault(tick % DAY // 60, []).append(tick % 60)
        patterns: dict[tuple[int, ...], list[int]] = {}
        for hour in sorted(hours):
            patterns.setdefault(tuple(sorted(hours[hour])), []).append(hour)
        return [f"{_list(minutes)} {_list(patterns[minutes])} * * *" for minutes in sorted(patterns)]


def objects(context: Context) -> list[Object]:
    """The CronJobs of all windows that endpoints ask for."""
    windows: dict[str, list[str]] = {}
    addresses = routes(context)
    for service in context.services:
        if service.knobs.warm:
            windows.setdefault(service.knobs.warm, []).append(f"{addresses[service.ids[0]]}/healthz/live")
    found = []
    for text in sorted(windows):
        window, mark = Window.parse(text), hashlib.sha256(text.encode()).hexdigest()[:6]
        for number, schedule in enumerate(window.schedules()):
            name = f"{context.app.name}-warm-{mark}-{number}"
            found.append(_cron_job(context, name, schedule, window.zone, windows[text]))
    return found


def _cron_job(context: Context, name: str, schedule: str, zone: str, urls: list[str]) -> Object:
    seconds = STEP_MINUTES * 60
    command = ["python", "-c", ASK, str(seconds), str(PAUSE_SECONDS), *sorted(urls)]
    container = pods.container(context, [], command=command, bundle_mounted=False)
    limits = {"memory": "128Mi"} | pods.cpu_limit(context, "1")
    container["resources"] = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": limits}
    template = {
        "metadata": {"labels": context.labels("warm")},
        "spec": pods.spec(context, container, bundle_mounted=False) | {"restartPolicy": "Never"},
    }
    job = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": seconds + 120,
        "ttlSecondsAfterFinished": 120,
        "template": template,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": context.metadata(name, "warm"),
        "spec": {
            "schedule": schedule,
            "timeZone": zone,
            "concurrencyPolicy": "Allow",
            "startingDeadlineSeconds": 300,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"metadata": {"labels": context.labels("warm")}, "spec": job},
        },
    }


def _list(numbers: tuple[int, ...] | list[int]) -> str:
    return ",".join(map(str, numbers))
