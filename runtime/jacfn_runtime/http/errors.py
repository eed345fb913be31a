"""From an exception to an answer: which status, which code, which headers, and what goes to the log instead of to the caller.

ApiError is what http/ itself refuses; errors of the other rooms are looked up by class; everything else is the program's own
failure: 500, the traceback in the log, a request id in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import falcon

from jacfn_runtime.errors import JacfnError
from jacfn_runtime.identity.errors import IdentityError
from jacfn_runtime.memory import errors as memory
from jacfn_runtime.program.arguments import InvalidArguments

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "INVALID_ARGUMENTS",
    429: "TOO_MANY_REQUESTS",
    431: "TOO_LARGE",
    500: "EXECUTION_ERROR",
    502: "BAD_GATEWAY",
    503: "UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}
CUT_OFF = "The server had to end before this request did; it may or may not have been carried out"
CONFLICT_SECONDS = 1  # the other writers are done by then; the request was replayed for a while already


class ApiError(JacfnError):
    """An answer that is an error. `what` is shown to the caller, `reason` goes to the log only."""

    def __init__(
        self,
        status: int,
        what: str,
        *,
        code: str = "",
        details: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(what)
        self.status = status
        self.code = code or CODES.get(status) or HTTPStatus(status).name
        self.details = details
        self.headers = dict(headers or {})
        self.reason = reason


def unauthorized(what: str, challenge: str, reason: str = "") -> ApiError:
    """401 with the challenge of RFC 6750 section 3."""
    return ApiError(401, what, headers={"WWW-Authenticate": challenge}, reason=reason)


def unavailable(what: str, seconds: int, reason: str = "") -> ApiError:
    """503: it was not carried out, try again after so many seconds."""
    return ApiError(503, what, headers={"Retry-After": str(seconds)}, reason=reason)


def translate(error: Exception) -> ApiError | None:
    """The answer for an exception; None for one that only the log may know: 500."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, memory.StoreError):
        return _of_store(error)
    if isinstance(error, InvalidArguments):
        details = [{"path": path, "message": message} for path, message in error.problems]
        return ApiError(422, "The arguments do not fit", details=details)
    if isinstance(error, falcon.HTTPError):
        return _of_falcon(error)
    if isinstance(error, IdentityError):
        return _of_identity(error)
    return None


def _of_store(error: memory.StoreError) -> ApiError | None:
    match error:
        case memory.NodeNotFound():
            return ApiError(404, error.what)
        case memory.AccessDenied():
            return ApiError(403, error.what)
        case memory.UnknownCaller():
            return unauthorized(error.what, 'Bearer error="invalid_token"')
        case memory.Conflict():
            return ApiError(409, f"{error.what}; try again", headers={"Retry-After": str(CONFLICT_SECONDS)})
        case memory.StoreUnavailable():
            return unavailable(f"{error.what}. {error.next_step}", error.retry_after, reason=error.evidence)
        case memory.UnknownClass():
            return ApiError(500, error.what, reason=str(error))
    return None


def _of_falcon(error: falcon.HTTPError) -> ApiError:
    status = error.status_code
    what = error.description or error.title or HTTPStatus(status).phrase
    if status == 404:
        what = "There is nothing here"
    elif status == 405:
        what = "This method is not allowed here"
    headers = error.headers or {}
    return ApiError(status, what, headers=dict(headers))


def _of_identity(error: IdentityError) -> ApiError:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return ApiError(error.status, error.what, code=error.code, details=error.details, headers=headers, reason=error.reason)
