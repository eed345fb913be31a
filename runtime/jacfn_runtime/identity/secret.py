"""The secret that tokens are signed with: from the settings, or, on a laptop only, made once and kept beside the store.

A default secret would be a public one (trust.md E.4), so there is none.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from jacfn_runtime.errors import SettingsError

if TYPE_CHECKING:
    from jacfn_runtime.settings import Settings

LENGTH = 64  # random bytes: enough for every HMAC of RFC 7518


def signing_secret(settings: Settings) -> str:
    """JWT_SECRET, or the laptop's own in the embedded mode. Raises SettingsError when there is neither."""
    if settings.jwt_secret:
        return settings.jwt_secret
    if settings.embedded or settings.on_unavailable == "embedded":
        return laptop_secret(settings.shelf_db_path)
    raise SettingsError(
        "JWT_SECRET is not set, and with MONGODB_URI set this is no laptop: tokens could be forged",
        next_step="Set it to at least 64 random characters, e.g. from `openssl rand -hex 32`.",
    )


def laptop_secret(store: Path) -> str:
    """The secret kept in `<store>.secret` (mode 0600), made by whoever comes first: every process gets the same one.

    Raises SettingsError when the file cannot be made or holds something else.
    """
    path = store.with_name(f"{store.name}.secret")
    try:
        if not path.exists():
            _make(path)
        path.chmod(0o600)  # a copy from a backup or another umask may be open to others
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The secret for tokens cannot be kept in {path}",
            evidence=str(error),
            next_step="Make the folder writable, or set JWT_SECRET.",
        ) from error
    if not re.fullmatch(rf"[0-9a-f]{{{2 * LENGTH}}}", secret):
        raise SettingsError(
            f"{path} does not hold a secret for tokens", next_step="Delete the file (everybody logs in again) or set JWT_SECRET."
        )
    return secret


def _make(path: Path) -> None:
    """Whole or not at all: the file gets its name by a link, which fails when somebody else was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(os.urandom(LENGTH).hex())
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # the other one's secret is as good
    finally:
        draft.unlink()
