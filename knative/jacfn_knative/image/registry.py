"""A client for one registry, over the OCI distribution protocol 1.1: manifests and blobs, read and written with bounded memory.

HTTPS; plain HTTP only where `may_be_plain` allows it and HTTPS is not spoken. Redirects are followed without the login.
Why own code: python-dxf 12 refuses logins over loopback HTTP and knows no docker configuration, oras 0.2 chooses no
platform and mounts no blobs, both tell a wrong password and a missing right as one HTTP error, and both bring requests along.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from jacfn_knative.image.answers import Answer, explain
from jacfn_knative.image.credentials import Keychain
from jacfn_knative.image.errors import RegistryError, RegistryFault, RegistryUnreachable
from jacfn_knative.image.login import Login, Scopes
from jacfn_knative.image.model import INDEX_TYPES, MANIFEST_TYPES, Descriptor, digest_of
from jacfn_knative.image.reference import Reference, api_host, may_be_plain

if TYPE_CHECKING:
    import httpx2

CHUNK = 1 << 20  # bytes read, hashed and sent at a time
_TRIES = 3
_REDIRECTS = 4  # to the object store, and perhaps around a corner
_LARGEST_MANIFEST = 4 << 20  # what the distribution protocol asks registries to accept at least
_LONGEST_PAUSE = 20.0  # seconds that a Retry-After may make us wait


@dataclass(frozen=True, slots=True)
class Stored:
    """A manifest or an index as a registry has it."""

    media_type: str
    digest: str
    content: bytes


class Registry:
    """One registry. Connects on the first request; use it as a context manager, from one thread."""

    def __init__(self, name: str, keychain: Keychain) -> None:
        import httpx2

        self.name = name
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line per request wherever the root logger says INFO
        private = may_be_plain(name)
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(60.0, connect=10.0),
            headers={"User-Agent": "jacfn"},
            verify=httpx2.create_ssl_context(),  # honours SSL_CERT_FILE
            trust_env=not private,  # a proxy of the environment is for what is outside
        )
        self._login = Login(name, keychain, self._client)
        self._schemes = ("https", "http") if private else ("https",)
        self._base = ""

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    # Reading

    def manifest(self, reference: Reference) -> Stored:
        """The manifest or index that `reference` names. Raises ImageNotFound, or another RegistryError."""
        accept = {"Accept": ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))}
        response = self._request(
            "GET", f"{reference.repository}/manifests/{reference.which}", _pull(reference), reference, accept
        )
        if len(response.content) > _LARGEST_MANIFEST:
            raise RegistryFault(f"The manifest of {reference} is larger than any registry has to take")
        digest = digest_of(response.content)
        if reference.digest and digest != reference.digest:
            raise RegistryFault(f"{self.name} gave something else than {reference}", evidence=f"What it gave is {digest}.")
        return Stored(response.headers.get("Content-Type", "").partition(";")[0].strip(), digest, response.content)

    def has_manifest(self, reference: Reference) -> bool:
        """Whether the registry has it. Raises RegistryError other than ImageNotFound."""
        accept = {"Accept": ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))}
        path = f"{reference.repository}/manifests/{reference.which}"
        return self._request("HEAD", path, _pull(reference), reference, accept, allow=(404,)).is_success

    def has_blob(self, reference: Reference, digest: str) -> bool:
        """Whether the repository of `reference` has the blob, asked with the right to push there."""
        return self._request(
            "HEAD", f"{reference.repository}/blobs/{digest}", _push(reference), reference, allow=(404,)
        ).is_success

    @contextmanager
    def blob(self, reference: Reference, digest: str) -> Iterator[Iterator[bytes]]:
        """The content of a blob, in pieces. Whoever reads checks the digest. Raises RegistryError, also while it is read."""
        import httpx2

        url = self._url(f"{reference.repository}/blobs/{digest}")
        as_it_is = {"Accept-Encoding": "identity"}  # a digest is over what is stored, not over what a proxy makes of it
        response = self._attempt("GET", url, _pull(reference), as_it_is, stream=True)
        try:
            if not response.is_success:
                response.read()
                raise self._explain(response, reference)
            yield response.iter_raw(CHUNK)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            response.close()

    # Writing

    def mount(self, reference: Reference, digest: str, source: Reference | None) -> str:
        """Start an upload, or spare it: the upload's URL, or `""` if the registry took the blob over from `source`."""
        scopes = _push(reference)
        query = ""
        if source and source.registry == reference.registry and source.repository != reference.repository:
            scopes = (*scopes, *_pull(source))
            query = f"?mount={digest}&from={source.repository}"
        response = self._request("POST", f"{reference.repository}/blobs/uploads/{query}", scopes, reference)
        return "" if response.status_code == 201 else self._location(response, self._url(""))

    def check_push(self, reference: Reference) -> None:
        """Start an upload and take it back. Raises what a push would raise: LoginFailed, LoginRequired, PushDenied, ..."""
        self._attempt("DELETE", self.mount(reference, "", None), _push(reference))

    def upload(self, reference: Reference, blob: Descriptor, url: str, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Send a blob to the upload that `mount` started. Raises RegistryError; the caller may start again."""
        scopes = _push(reference)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        response = self._attempt("PATCH", url, scopes, headers, pieces)
        if response.status_code not in (202, 204):
            raise self._explain(response, reference)
        url = self._location(response, url)
        response = self._attempt("PUT", f"{url}{'&' if '?' in url else '?'}digest={blob.digest}", scopes, {"Content-Length": "0"})
        if response.status_code not in (201, 204):
            raise self._explain(response, reference)

    def put_manifest(self, reference: Reference, media_type: str, content: bytes) -> None:
        """Name a manifest by tag, or store it by digest. All its blobs must be there. Raises RegistryError."""
        path, headers = f"{reference.repository}/manifests/{reference.which}", {"Content-Type": media_type}
        response = self._attempt("PUT", self._url(path), _push(reference), headers, lambda: iter((content,)))
        if not response.is_success:
            raise self._explain(response, reference)

    # The protocol beneath

    def _request(
        self,
        method: str,
        path: str,
        scopes: Scopes,
        reference: Reference,
        headers: Mapping[str, str] | None = None,
        allow: tuple[int, ...] = (),
    ) -> httpx2.Response:
        """A request without content, tried again when the registry is busy. Raises what the answer means, but for `allow`."""
        for left in range(_TRIES - 1, -1, -1):
            response = self._attempt(method, self._url(path), scopes, headers)
            if not (left and (response.status_code == 429 or response.status_code >= 500)):
                break
            time.sleep(_pause(response.headers.get("Retry-After", ""), _TRIES - left))
        if response.is_success or response.status_code in allow:
            return response
        raise self._explain(response, reference)

    def _attempt(
        self,
        method: str,
        url: str,
        scopes: Scopes,
        headers: Mapping[str, str] | None = None,
        pieces: Callable[[], Iterator[bytes]] | None = None,
        stream: bool = False,
    ) -> httpx2.Response:
        """One request with our login, which is renewed once if the registry asks. Redirects are followed when reading."""
        for redirects in range(_REDIRECTS, -1, -1):
            response = self._with_login(method, url, scopes, headers, pieces, stream)
            if not response.has_redirect_location or method not in ("GET", "HEAD") or not redirects:
                break
            response.close()
            url = urljoin(url, response.headers["Location"])
        return response

    def _with_login(
        self,
        method: str,
        url: str,
        scopes: Scopes,
        headers: Mapping[str, str] | None,
        pieces: Callable[[], Iterator[bytes]] | None,
        stream: bool,
    ) -> httpx2.Response:
        ours = urlsplit(url).netloc == urlsplit(self._url("")).netloc  # blobs may lie on another host: it never gets the login
        for last in (False, True):
            authorization = self._login.header(scopes) if ours else ""
            sent = dict(headers or {}) | ({"Authorization": authorization} if authorization else {})
            response = self._send(method, url, sent, pieces() if pieces else None, stream)
            asked = response.headers.get("WWW-Authenticate", "")
            if last or response.status_code != 401 or not ours or not asked:
                break
            response.close()
            self._login.answer(asked, scopes)
        return response

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: Iterator[bytes] | None = None, stream: bool = False
    ) -> httpx2.Response:
        import httpx2

        try:
            return self._client.send(self._client.build_request(method, url, headers=headers, content=content), stream=stream)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _url(self, path: str) -> str:
        if not self._base:
            self._base = self._reach()
        return f"{self._base}/v2/{path}"

    def _reach(self) -> str:
        """The base URL. Where plain HTTP is acceptable, HTTPS is tried first, by a request that carries no login."""
        import httpx2

        host = api_host(self.name)
        if len(self._schemes) == 1:
            return f"https://{host}"
        failure: httpx2.HTTPError | None = None
        for scheme in self._schemes:
            try:
                self._client.get(f"{scheme}://{host}/v2/", timeout=10.0)
                return f"{scheme}://{host}"
            except httpx2.HTTPError as error:
                failure = error
                if _untrusted(error):  # it does speak HTTPS: plain HTTP would send the login to whoever this is
                    break
        assert failure is not None
        raise self._unreachable(failure) from failure

    def _location(self, response: httpx2.Response, url: str) -> str:
        """Where the upload goes on. A registry behind a proxy that ends TLS may say http: the login does not follow it there."""
        location = urljoin(url, response.headers.get("Location", url))
        return location.replace("http://", "https://", 1) if self._base.startswith("https:") else location

    def _unreachable(self, error: Exception) -> RegistryUnreachable:
        text = str(error) or type(error).__name__
        step = "Check the name and port of the registry, and that this machine reaches it."
        if _untrusted(error):
            step = "Set SSL_CERT_FILE to a file that has the certificate of the registry's authority."
        return RegistryUnreachable(f"The registry {self.name} cannot be reached", evidence=text, next_step=step)

    def _explain(self, response: httpx2.Response, reference: Reference) -> RegistryError:
        """What an answer that is no success means to the person who asked."""
        answer = Answer(
            status=response.status_code,
            told=_told(response),
            writing=response.request.method in ("POST", "PATCH", "PUT"),
            basic=response.headers.get("WWW-Authenticate", "").lower().startswith("basic"),
        )
        return explain(answer, reference, self._login)


def _pull(reference: Reference) -> Scopes:
    return (f"repository:{reference.repository}:pull",)


def _push(reference: Reference) -> Scopes:
    return (f"repository:{reference.repository}:pull,push",)


def _pause(retry_after: str, tries: int) -> float:
    """Seconds to wait before the next try."""
    return min(float(retry_after), _LONGEST_PAUSE) if retry_after.isascii() and retry_after.isdigit() else 0.5 * 2**tries


def _untrusted(error: BaseException | None) -> bool:
    """Whether the certificate of the other side is what made this fail."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _told(response: httpx2.Response) -> str:
    """The registry's own words, from the error document of the distribution protocol."""
    try:
        document: Any = response.json()
        errors = document.get("errors") or []
        return "; ".join(f"{error.get('code', '')}: {error.get('message', '')}" for error in errors)[:300]
    except (ValueError, AttributeError):
        return ""
