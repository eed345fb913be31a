"""What the identity room raises. Each error carries its own HTTP status and code; http/ only writes them down.

IdentityError
|- InvalidArguments      a username or a password against the rules                           422 INVALID_ARGUMENTS, details
|- InvalidToken          a token that proves nothing; never says why                         401 UNAUTHORIZED
|- InvalidCredentials    unknown user or wrong password; nobody can tell which               401 UNAUTHORIZED
|- UserExists            the username is taken                                               409 USER_EXISTS
|- TooManyAttempts       failed logins or registrations come too fast                        429 TOO_MANY_REQUESTS, Retry-After
|- UnknownPlatform       no such single sign-on platform                                     404 NOT_FOUND
|- SsoNotConfigured      a platform that this app has no client for                          501 SSO_NOT_CONFIGURED
|- SsoFailed             the provider, or who pretends to be it, did not prove a user        401 SSO_FAILED
`- SsoUnavailable        the provider cannot be reached                                      503 UNAVAILABLE, Retry-After
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jacfn_runtime.errors import JacfnError


class IdentityError(JacfnError):
    """A caller could not be identified. `what` is for the caller; `reason` is for the log only and never leaves the process."""

    status = 400
    code = "BAD_REQUEST"

    details: Sequence[Mapping[str, str]] = ()

    def __init__(self, what: str, *, reason: str = "", retry_after: int | None = None) -> None:
        super().__init__(what)
        self.reason = reason
        self.retry_after = retry_after


class InvalidArguments(IdentityError):
    """A value against the rules of identity; `details` has the path of the bad field, e.g. `body.password`."""

    status = 422
    code = "INVALID_ARGUMENTS"

    def __init__(self, path: str, message: str) -> None:
        super().__init__("The arguments do not fit")
        self.details = ({"path": path, "message": message},)


class InvalidToken(IdentityError):
    """The token proves nothing: forged, expired, of another kind or for another app. The caller never learns which."""

    status = 401
    code = "UNAUTHORIZED"

    def __init__(self, reason: str = "") -> None:
        super().__init__("The token is not valid", reason=reason)


class InvalidCredentials(IdentityError):
    """Unknown user or wrong password: one answer for both."""

    status = 401
    code = "UNAUTHORIZED"

    def __init__(self, reason: str = "") -> None:
        super().__init__("The username or the password is wrong", reason=reason)


class UserExists(IdentityError):
    """The username is taken."""

    status = 409
    code = "USER_EXISTS"

    def __init__(self) -> None:
        super().__init__("This username is taken")


class TooManyAttempts(IdentityError):
    """Attempts come too fast; `retry_after` is in whole seconds."""

    status = 429
    code = "TOO_MANY_REQUESTS"

    def __init__(self, retry_after: int, reason: str = "") -> None:
        super().__init__(f"Too many attempts; try again in {retry_after} s", reason=reason, retry_after=retry_after)


class UnknownPlatform(IdentityError):
    """No such single sign-on platform."""

    status = 404
    code = "NOT_FOUND"

    def __init__(self, platform: str) -> None:
        super().__init__("There is no such single sign-on platform", reason=platform)


class SsoNotConfigured(IdentityError):
    """A platform that this app has no client for."""

    status = 501
    code = "SSO_NOT_CONFIGURED"

    def __init__(self, platform: str) -> None:
        super().__init__(f"Single sign-on with {platform} is not configured")


class SsoFailed(IdentityError):
    """The provider did not prove a user; the caller learns only that it has to start again."""

    status = 401
    code = "SSO_FAILED"

    def __init__(self, reason: str) -> None:
        super().__init__("Single sign-on failed; start again", reason=reason)


class SsoUnavailable(IdentityError):
    """The provider cannot be reached now."""

    status = 503
    code = "UNAVAILABLE"

    def __init__(self, platform: str, reason: str, retry_after: int = 5) -> None:
        super().__init__(f"{platform} cannot be reached; try again in {retry_after} s", reason=reason, retry_after=retry_after)
