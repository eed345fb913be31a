"""Settings, catalog and bundle -> the `App` that the knative room deploys. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from jacfn_cli.sections import Function, Knative, seconds
from jacfn_cli.settings import Settings
from jacfn_knative import app as knative
from jacfn_knative.errors import InvalidApp
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.program.catalog import Catalog


def describe(settings: Settings, catalog: Catalog, bundle: knative.Bundle, image: knative.Image, run_main: bool) -> knative.App:
    """The app as these settings want it. Raises SettingsError for a function section without an endpoint, else InvalidApp."""
    kubernetes = settings.kubernetes
    sections = function_sections(settings, catalog)
    return knative.App(
        name=kubernetes.app_name,
        namespace=kubernetes.namespace,
        project=settings.owner,
        endpoints=tuple(
            knative.AppEndpoint(
                id=endpoint.id,
                public=endpoint.public,
                knobs=_knobs(endpoint.id, settings.knative, sections.get(endpoint.id, Function())),
            )
            for endpoint in catalog.endpoints
        ),
        bundle=bundle,
        image=image,
        data=_data(settings),
        resources=_resources(settings),
        health=knative.Health(
            path=kubernetes.healthcheck_path,
            readiness_initial_delay=kubernetes.readiness_initial_delay,
            readiness_period=kubernetes.readiness_period,
            liveness_initial_delay=kubernetes.liveness_initial_delay,
            liveness_period=kubernetes.liveness_period,
            liveness_failure_threshold=kubernetes.liveness_failure_threshold,
        ),
        autoscaling=knative.Autoscaling(
            min_replicas=kubernetes.min_replicas, max_replicas=kubernetes.max_replicas, cpu_percent=kubernetes.cpu_utilization
        ),
        jwt=knative.Jwt(secret=settings.jwt.secret, algorithm=settings.jwt.algorithm, days=settings.jwt.exp_delta_days),
        sso=knative.Sso(
            host=settings.sso.host,
            clients={
                name: knative.SsoClient(
                    client_id=provider.client_id, client_secret=provider.client_secret, issuer=provider.issuer
                )
                for name, provider in settings.sso_providers.items()
                if provider.client_id
            },
            redirects=tuple(url.strip() for url in settings.sso.redirects.split(",") if url.strip()),
        ),
        node_port=kubernetes.node_port,
        container_port=kubernetes.container_port,
        gateway_min_scale=settings.knative.gateway_min_scale,
        run_main=run_main,
        env=settings.env,
        secret_env=settings.secret_env,
    )


def function_sections(settings: Settings, catalog: Catalog) -> Mapping[str, Function]:
    """Endpoint id -> its [plugins.scale.functions.<name>]. Raises SettingsError for a name that no endpoint has."""
    sections = {}
    for name, section in settings.functions.items():
        fitting = [endpoint.id for endpoint in catalog.endpoints if name in (endpoint.name, endpoint.id)]
        if not fitting:
            near = get_close_matches(name, [endpoint.name for endpoint in catalog.endpoints], n=1)
            raise SettingsError(
                f"[plugins.scale.functions.{name}] fits no endpoint of {catalog.entry}",
                next_step=f"Did you mean `{near[0]}`?" if near else "`jac start --faux` lists the endpoints.",
            )
        sections.update(dict.fromkeys(fitting, section))
    return sections


def _knobs(endpoint: str, everywhere: Knative, here: Function) -> knative.Knobs:
    given: dict[str, Any] = {}
    for name in ("min_scale", "max_scale", "target", "window", "timeout", "retention"):
        value = next((value for section in (here, everywhere) if (value := getattr(section, name)) is not None), None)
        if value is not None:
            given[name] = round(seconds(value)) if name in ("window", "timeout", "retention") else value
    given |= {name: getattr(here, name) for name in ("cpu", "memory", "warm", "group", "isolation")}
    try:
        return knative.Knobs(**given)
    except InvalidApp as error:
        place = f"[plugins.scale.functions.<name>] and [plugins.scale.knative] make the knobs of {endpoint}."
        raise InvalidApp(f"{endpoint}: {error.what}", evidence=error.evidence, next_step=error.next_step or place) from None


def _data(settings: Settings) -> knative.DataServices:
    kubernetes, database = settings.kubernetes, settings.database
    return knative.DataServices(
        mongodb=kubernetes.mongodb_enabled,
        redis=kubernetes.redis_enabled,
        mongodb_uri=database.mongodb_uri,
        redis_url=database.redis_url,
        storage=kubernetes.storage,
        storage_class=kubernetes.storage_class,
        mongodb_image=kubernetes.mongodb_image,
        redis_image=kubernetes.redis_image,
    )


def _resources(settings: Settings) -> knative.Resources:
    """What was asked for; where nothing was, the manifests choose a request that is not above the limit."""
    kubernetes = settings.kubernetes
    return knative.Resources(
        cpu_request=kubernetes.cpu_request or "",
        cpu_limit=kubernetes.cpu_limit or "",
        memory_request=kubernetes.memory_request or "",
        memory_limit=kubernetes.memory_limit or "",
    )
