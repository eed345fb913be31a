"""What the memory room raises; http/ turns each into its status code.

StoreError
|- Conflict            another request won; the work was replayed and lost again       409
|- StoreUnavailable    a store cannot be reached now                                   503, Retry-After
|- NodeNotFound        no such node, or not the caller's to see: the same answer       404
|- AccessDenied        the program tried to write what the caller may only see          403
|- UnknownCaller       the token is good, but the store has no root for it              401
|- StoreRefused        a store that is there and must not be used as it is              500
|- UnknownClass        a stored class that this program does not have, by name         500
`- FormatTooNew        the store was written by a newer jacfn                          500
"""

from __future__ import annotations

from collections.abc import Collection

from jacfn_runtime.errors import JacfnError

SHOWN = 10  # documents that a message names


class StoreError(JacfnError):
    """The graph cannot do what was asked."""


class Conflict(StoreError):
    """Another unit of work changed what this one had relied on; `ids` are the documents, as far as they are known."""

    def __init__(self, ids: Collection[str]) -> None:
        shown = ", ".join(sorted(ids)[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
        super().__init__("Another request changed the same data", evidence=f"documents: {shown or 'unknown'}")
        self.ids = frozenset(ids)


class StoreUnavailable(StoreError):
    """A store cannot be reached now; `retry_after` is in whole seconds."""

    def __init__(self, store: str, reason: str, retry_after: int = 2) -> None:
        super().__init__(f"{store} cannot be reached", evidence=reason, next_step=f"Try again in {retry_after} s.")
        self.store = store
        self.retry_after = retry_after


class StoreRefused(StoreError):
    """A store that answers and must not be used: no replica set, another app's data, a login that is refused, a broken file."""


class NodeNotFound(StoreError):
    """No node with this id, or one that the caller may not see: nobody can tell which."""

    def __init__(self, node_id: str) -> None:
        super().__init__("There is no such node", evidence=node_id)


class AccessDenied(StoreError, PermissionError):
    """The program tried to write something that the caller may see and not write. Nothing of the request was written."""

    def __init__(self, operation: str, type_name: str, node_id: str, level: str = "Write") -> None:
        super().__init__(
            f"Permission denied: {operation} on {type_name}",
            evidence=node_id,
            next_step=f"Its owner can grant more access: `grant({type_name.lower()}, level={level}Perm)`.",
        )


class UnknownCaller(StoreError):
    """The caller's token is good, but the store has no root for it: the data was removed after the token was made."""

    def __init__(self) -> None:
        super().__init__("This user's data does not exist any more", next_step="Register again.")


class UnknownClass(StoreError):
    """A stored document names a class that this program does not have. Nothing is dropped: the request fails."""

    def __init__(self, name: str, document_id: str) -> None:
        super().__init__(
            f"The store holds a {name}, and the program has no such class",
            evidence=f"document {document_id}",
            next_step=f"Bring {name} back, or tell the class that took its place: "
            f'`static def __jac_schema__ {{ schema_was("{name}"); }}`.',
        )


class FormatTooNew(StoreError):
    """The store was written by a newer jacfn than this one."""

    def __init__(self, found: int, supported: int) -> None:
        super().__init__(
            f"The store has format {found}; this jacfn reads up to format {supported}",
            next_step="Use the newer jacfn everywhere.",
        )
