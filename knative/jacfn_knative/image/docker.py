"""`--builder docker`: a Dockerfile of the project's makes the image to build on, where a docker daemon is at hand.

For what wheels cannot bring: system packages, libraries that have to be compiled. The Dockerfile starts `FROM` a runtime image of
jacfn and need not know the bundle: `build_app` lays it on top, as it does without docker.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from jacfn_knative.errors import ImageError
from jacfn_knative.image.reference import Reference
from jacfn_knative.report import Event, Report, silent

_SECONDS = 3600.0  # a build may compile for long; it can be interrupted


def docker_build(folder: Path, reference: str, platform: str = "linux/amd64", report: Report = silent) -> str:
    """Build the Dockerfile in `folder` with the user's docker, push it under `reference` with the user's login; the reference.

    Raises BadReference, and ImageError with docker's own last words: no daemon, a build that fails, a push that is refused.
    """
    name = str(Reference.parse(reference))
    if not (folder / "Dockerfile").is_file():
        raise ImageError(
            f"There is no Dockerfile in {folder}",
            next_step="Write one that starts FROM a runtime image of jacfn, or build without --builder docker.",
        )
    report(Event("image", name, "building with docker"))
    _docker("build", "--platform", platform, "--tag", name, str(folder))
    report(Event("image", name, "pushing with docker"))
    _docker("push", name)
    return name


def _docker(*arguments: str) -> None:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False)
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
