"""`--builder docker`: a Dockerfile of the project's makes the image to build on, where a docker daemon is at hand.

For what wheels cannot bring: system packages, libraries that have to be compiled. The Dockerfile starts `FROM` a runtime image of
jacfn and need not know the bundle: `build_app` lays it on top, as it does without docker.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jacfn_knative.errors import ImageError
from jacfn_knative.image.credentials import Credentials, pull_secret
from jacfn_knative.image.reference import Reference
from jacfn_knative.report import Event, Report, silent

_SECONDS = 3600.0  # a build may compile for long; it can be interrupted


def docker_build(
    folder: Path, reference: str, platform: str = "linux/amd64", login: Credentials | None = None, report: Report = silent
) -> str:
    """Build the Dockerfile in `folder` with the user's docker, and push it under `reference`; the reference.

    `login` is for the push, which otherwise goes by what `docker login` left.
    Raises BadReference, and ImageError with docker's own last words: no daemon, a build that fails, a push that is refused.
    """
    target = Reference.parse(reference)
    name = str(target)
    if not (folder / "Dockerfile").is_file():
        raise ImageError(
            f"There is no Dockerfile in {folder}",
            next_step="Write one that starts FROM a runtime image of jacfn, or build without --builder docker.",
        )
    report(Event("image", name, "building with docker"))
    _docker("build", "--platform", platform, "--tag", name, str(folder))
    report(Event("image", name, "pushing with docker"))
    with _configuration(target.registry, login) as env:
        _docker("push", name, env=env)
    return name


@contextmanager
def _configuration(registry: str, login: Credentials | None) -> Iterator[Mapping[str, str]]:
    """The environment in which docker knows `login`: a configuration of its own, for docker takes passwords no other way.

    The user's choice of a daemon (`docker context`) stays in force, and the user's own file is not touched.
    """
    if login is None:
        yield {}
        return
    theirs = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with tempfile.TemporaryDirectory(prefix="jacfn-") as folder:  # 0700
        document = json.loads(pull_secret(registry, login))
        try:
            document["currentContext"] = json.loads((theirs / "config.json").read_text()).get("currentContext", "")
            Path(folder, "contexts").symlink_to(theirs.resolve() / "contexts")
        except (OSError, ValueError, AttributeError):
            pass  # without a configuration docker has its default context
        Path(folder, "config.json").write_text(json.dumps(document))
        yield {"DOCKER_CONFIG": folder}


def _docker(*arguments: str, env: Mapping[str, str] | None = None) -> None:
    command, environment = ["docker", *arguments], os.environ | dict(env or {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as error:
        raise ImageError("docker is not on the PATH", next_step="Install it, or build without --builder docker.") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"docker {arguments[0]} did not end within an hour") from error
    if done.returncode:
        raise ImageError(
            f"docker {arguments[0]} failed",
            evidence="\n".join(done.stderr.strip().splitlines()[-8:]),
            next_step="Mend that, or build without --builder docker.",
        )
