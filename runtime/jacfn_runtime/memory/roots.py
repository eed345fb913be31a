"""The two roots that are nobody's: fixed ids, so that every process knows them without asking. Pure."""

from __future__ import annotations

SYSTEM_ROOT = "0" * 32
"""jaclang's super root, which may do everything. Only `with entry` blocks run as it, once per bundle, in `jacfn_runtime init`."""
GUEST_ROOT = "0" * 31 + "1"
"""The root of every caller without a token, and what `root.shared` means."""
