"""Real registries for the tests of images: Debian's `docker-registry` on loopback, open, with htpasswd, and with a token service.

The binary is the one on the PATH (the test cluster's build installs it), else one that `apt-get download` gets without root, kept
in the user's cache. Where neither is to be had, the tests that need it are skipped.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.server
import ipaddress
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import servers
from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.credentials import Credentials, Keychain
from jacfn_knative.image.layer import write_layer
from jacfn_knative.image.model import Image, Layer, Process, extend

PASSWORD = "s3cret-word"
# bcrypt of PASSWORD: the one hash that docker-registry reads
HTPASSWD = "ann:$2b$04$WmGtfHMWqzvV5mTfx6CuJu9.ikVMA/3ulGEu6HHhCwJg/etUAFTNO\n"


@pytest.fixture(scope="session")
def registry_binary() -> str:
    found = shutil.which("docker-registry") or _downloaded()
    if not found:
        pytest.skip("no docker-registry here, and no Debian to get it from")
    return found


def _downloaded() -> str | None:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jacfn-tests" / "docker-registry"
    binary = folder / "usr" / "bin" / "docker-registry"
    if binary.exists():
        return str(binary)
    work = folder.with_name(f"docker-registry.{os.getpid()}")
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        work.mkdir(parents=True)
        subprocess.run(["apt-get", "download", "docker-registry"], cwd=work, check=True, capture_output=True, timeout=60)
        subprocess.run(["dpkg-deb", "-x", next(work.glob("*.deb")), work], check=True, capture_output=True, timeout=60)
        work.rename(folder)  # fails if another test process was first, and then theirs is there
    shutil.rmtree(work, ignore_errors=True)
    return str(binary) if binary.exists() else None


@contextlib.contextmanager
def _registry(binary: str, folder: Path, auth: Mapping[str, object] | None = None, **http: object) -> Iterator[str]:
    port = servers.free_port()
    configuration = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}", **http},
        **({"auth": auth} if auth else {}),
    }
    (folder / "config.yaml").write_text(json.dumps(configuration))  # JSON is YAML
    server = servers.Server([binary, "serve", str(folder / "config.yaml")], port, "", folder)
    try:
        server.start()
        yield f"127.0.0.1:{port}"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def registry(registry_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`127.0.0.1:PORT` of a registry that asks nobody who they are. Each test takes a repository of its own."""
    with _registry(registry_binary, tmp_path_factory.mktemp("registry")) as name:
        yield name


@pytest.fixture(scope="session")
def locked_registry(registry_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry with Basic logins: `ann` with PASSWORD."""
    folder = tmp_path_factory.mktemp("locked-registry")
    (folder / "htpasswd").write_text(HTPASSWD)
    with _registry(registry_binary, folder, {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}) as name:
        yield name


@dataclass
class TokenRegistry:
    """A registry that trusts a token service, as Docker Hub does: `ann` may push, `bob` only pull, others pull `public/...`."""

    name: str
    asked: list[dict[str, list[str]]]
    """The queries that the token service got."""


@pytest.fixture(scope="session")
def token_registry(registry_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenRegistry]:
    folder = tmp_path_factory.mktemp("token-registry")
    key, certificate = _certificate("tokens")
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    chain = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
    asked: list[dict[str, list[str]]] = []

    class Tokens(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            asked.append(query)
            self._answer(_user(self.headers.get("Authorization", "")), query)

        def do_POST(self) -> None:
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            asked.append(form)
            self._answer("ann" if form["refresh_token"] == ["refresh-me"] else None, form)

        def _answer(self, user: str | None, query: dict[str, list[str]]) -> None:
            if user is None:
                body, status = b'{"details": "incorrect username or password"}', 401
            else:
                issued = int(time.time())
                scopes = " ".join(query.get("scope", [])).split()
                claims = {"iss": "tokens", "aud": "registry", "sub": user, "exp": issued + 300, "nbf": issued - 10, "iat": issued}
                claims["access"] = [granted for scope in scopes if (granted := _grant(user, scope))]
                token = jwt.encode(claims, key, algorithm="ES256", headers={"x5c": chain})
                body, status = json.dumps({"token": token, "expires_in": 300}).encode(), 200
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    token = {"realm": f"http://127.0.0.1:{service.server_port}/token", "service": "registry", "issuer": "tokens"}
    try:
        with _registry(registry_binary, folder, {"token": {**token, "rootcertbundle": str(folder / "ca.pem")}}) as registry_name:
            yield TokenRegistry(registry_name, asked)
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


def _certificate(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A key and a certificate for loopback that only whoever is told so trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


@dataclass
class TlsRegistry:
    """A registry that speaks HTTPS with a certificate of its own making."""

    name: str
    authority: Path
    """The certificate, for SSL_CERT_FILE."""


@pytest.fixture(scope="session")
def tls_registry(registry_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRegistry]:
    folder = tmp_path_factory.mktemp("tls-registry")
    key, certificate = _certificate("registry")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tls = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    with _registry(registry_binary, folder, tls=tls) as name:
        yield TlsRegistry(name, folder / "cert.pem")


def _user(authorization: str) -> str | None:
    """Who asks; `` for nobody, None for a wrong password."""
    if not authorization:
        return ""
    user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return user if user in ("ann", "bob") and password == PASSWORD else None


def _grant(user: str, scope: str) -> dict[str, object] | None:
    kind, name, actions = scope.split(":")
    allowed = {"ann": {"pull", "push"}, "bob": {"pull"}}.get(user, {"pull"} if name.startswith("public/") else set())
    granted = sorted(allowed & set(actions.split(",")))
    return {"type": kind, "name": name, "actions": granted} if granted else None


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """An empty cache."""
    return Blobs(tmp_path / "cache")


MakeLayer = Callable[[Mapping[str, bytes]], Layer]
MakeImage = Callable[..., Image]


@pytest.fixture
def make_layer(blobs: Blobs) -> MakeLayer:
    """Puts a layer with these files into the cache."""

    def make(files: Mapping[str, bytes]) -> Layer:
        with blobs.new() as part:
            with part.open("wb") as out:
                layer = write_layer(files, out, "test")
            blobs.adopt(part, layer.blob.digest)
        return layer

    return make


@pytest.fixture
def make_image(make_layer: MakeLayer) -> MakeImage:
    """Makes a small image whose layers are in the cache: one layer for each mapping of files."""

    def make(*files: Mapping[str, bytes], architecture: str = "amd64", labels: Mapping[str, str] | None = None) -> Image:
        config = {"architecture": architecture, "os": "linux", "created": "2026-01-02T03:04:05Z"}
        return extend(config, (), [make_layer(each) for each in files], Process(user="65532"), labels or {})

    return make


@pytest.fixture
def ann() -> Callable[[str], Keychain]:
    """The keychain of `ann`, who may do everything, for a registry."""
    return lambda registry: Keychain({registry: Credentials("ann", PASSWORD)})
