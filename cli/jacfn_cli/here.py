"""`jac start` without --scale: one process on this machine that serves every endpoint and the identity routes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from jacfn_cli.bundles import project_bundle
from jacfn_cli.describe import function_sections
from jacfn_cli.endpoints import endpoint_table
from jacfn_cli.environment import environment, laptop_warnings
from jacfn_cli.ports import check_free
from jacfn_cli.printer import Printer
from jacfn_cli.settings import Settings
from jacfn_runtime.errors import JacfnError
from jacfn_runtime.program.catalog import Catalog

PLACE = ("serve", "plugins.scale.server")
"""The settings that say where a program listens and where its graph is."""


class SeedFailed(JacfnError):
    """The stores could not be prepared, or a `with entry` block raised; the process has said why."""


def serve_here(entry: Path, settings: Settings, printer: Printer) -> NoReturn:
    """Build, seed, say what is served, and become the server."""
    settings.need(*PLACE)
    check_free(settings.server.host, settings.port)
    catalog, env = prepare(entry, settings, printer)
    printer.table(*endpoint_table(catalog))
    url = address(settings)
    printer.note(f"\nAPI   {url}\nDocs  {url}/docs\nCtrl+C stops it.")
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "jacfn_runtime"], {**env, "JACFN_SERVE": "all"})  # noqa: S606


def prepare(entry: Path, settings: Settings, printer: Printer) -> tuple[Catalog, dict[str, str]]:
    """The bundle, and the environment that every process of the program gets; `with entry` has run if it had to."""
    for warning in laptop_warnings(settings):
        printer.warning(warning)
    values = environment(settings, settings.folder, settings.serve.session, settings.serve.main)
    _check(values)  # before anything that takes time
    bundle, manifest = project_bundle(entry, settings, printer, "leave")
    sections = function_sections(settings, manifest.catalog)
    isolation = {name: section.isolation for name, section in sections.items()}
    values |= {"JACFN_BUNDLE": str(bundle), "JACFN_ISOLATION": json.dumps(isolation) if isolation else ""}
    values |= {"JACFN_HOST": settings.server.host, "PORT": str(settings.port)}
    env = {**os.environ, **values}
    _seed(env)
    return manifest.catalog, env


def address(settings: Settings) -> str:
    """The URL to open in a browser on this machine."""
    host = settings.server.host
    if host in ("127.0.0.1", "0.0.0.0", "::", "::1"):  # noqa: S104
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _check(env: Mapping[str, str]) -> None:
    """What the server would refuse is refused here."""
    from jacfn_runtime.identity.secret import signing_secret
    from jacfn_runtime.settings import Settings as ServiceSettings

    signing_secret(ServiceSettings.read(env))


def _seed(env: Mapping[str, str]) -> None:
    done = subprocess.run([sys.executable, "-m", "jacfn_runtime", "init"], env=dict(env), check=False)
    if done.returncode:
        raise SeedFailed(f"The program could not be prepared: `with entry` or the stores failed (exit code {done.returncode})")
