"""What can go wrong with images: registries first, then building, then fitting. All are ImageError of ../errors.py.

ImageError
|- BadReference          text that is no image reference, or no platform              exit 2
|- RegistryError         a registry did not do what was asked
|  |- RegistryUnreachable  nobody answers, or not in HTTP
|  |- LoginFailed          it does not accept these credentials
|  |- LoginRequired        it wants credentials and there are none
|  |- PushDenied           it knows who we are and does not let us write there
|  |- ImageNotFound        no such image, or none that we may see
|  `- RegistryFault        an answer outside the protocol, a server error, content that does not match its digest
|- PlatformMissing       the image exists, but not for this platform
|- BaseUnfit             a base image that this Python cannot build on
|- WheelsUnavailable     dependencies that cannot be had as wheels for the image's platform
`- ImageMismatch         an image that does not fit the bundle
"""

from __future__ import annotations

from jacfn_knative.errors import ImageError


class BadReference(ImageError):
    """Text that is no image reference or no platform."""

    exit_code = 2


class RegistryError(ImageError):
    """A registry did not do what was asked of it."""


class RegistryUnreachable(RegistryError):
    """Nobody answers at the registry's address, or what answers is no registry."""


class LoginFailed(RegistryError):
    """The registry does not accept the user name and password it was given."""


class LoginRequired(RegistryError):
    """The registry wants a login, and no credentials are known for it."""


class PushDenied(RegistryError):
    """The login is good and does not include the right to push to this repository."""


class ImageNotFound(RegistryError):
    """The registry has no such image, or does not show it to this login."""


class RegistryFault(RegistryError):
    """A server error, an answer outside the protocol, or content that does not match its digest."""


class PlatformMissing(ImageError):
    """The image exists, but not for the platform that was asked for."""


class BaseUnfit(ImageError):
    """A base image without a Python, or with another one than the Python that builds."""


class WheelsUnavailable(ImageError):
    """Dependencies that cannot be had as wheels for the image's platform."""


class ImageMismatch(ImageError):
    """An image that does not fit the bundle: it would refuse to load it."""
