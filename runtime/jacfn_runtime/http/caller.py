"""Who calls: the bearer token of the request, checked in this process, or a guest where the endpoint is public."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi

from jacfn_runtime.http.errors import ApiError, unauthorized
from jacfn_runtime.memory.roots import GUEST_ROOT, SYSTEM_ROOT

if TYPE_CHECKING:
    from jacfn_runtime.identity.tokens import Tokens
    from jacfn_runtime.settings import Settings

MISSING = "This endpoint needs a token: send `Authorization: Bearer <token>` with the token that /login answers"
INVALID = "The token is not valid"


class Callers:
    """Checks tokens. PyJWT is imported with the first token: a public endpoint may never see one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tokens: Tokens | None = None

    def prepare(self) -> None:
        """Import and set up what tokens need, before the first one comes. Raises SettingsError without a secret."""
        if self._tokens is None:
            from jacfn_runtime.identity.tokens import Tokens

            self._tokens = Tokens.configured(self._settings)

    def root(self, req: falcon.asgi.Request, *, public: bool) -> str:
        """The root that the request runs on, as 32 hex digits. Raises ApiError 401: a token that is sent must be good."""
        authorization = req.get_header("Authorization")
        if authorization is None:
            if public:
                return GUEST_ROOT
            raise unauthorized(MISSING, self._challenge())
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized("Send the token as `Authorization: Bearer <token>`", self._challenge())
        return self._verified(token.strip())

    def _verified(self, token: str) -> str:
        from jacfn_runtime.identity.errors import InvalidToken

        self.prepare()
        assert self._tokens is not None
        try:
            root = self._tokens.verify(token).root
        except InvalidToken as error:
            raise self._invalid(error.reason) from None
        if root == SYSTEM_ROOT:  # nobody logs in as the root that may do everything
            raise self._invalid("it names the system root")
        return root

    def _invalid(self, reason: str) -> ApiError:
        return unauthorized(INVALID, self._challenge(', error="invalid_token"'), reason)

    def _challenge(self, more: str = "") -> str:
        return f'Bearer realm="{self._settings.app}"{more}'
