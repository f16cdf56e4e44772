"""Where the shared budget is: a URL that may hold a password, which nobody is to see."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from greenroom._errors import ConfigurationError

_SCHEMES = ("redis", "rediss", "unix")
_EXAMPLE = "such as 'redis://budget.example:6379/0'"


def shown_url(url: str) -> str:
    """Return the part of a URL that may be shown, however odd it is: no user, password or query."""
    scheme, separator, rest = url.rpartition("://")
    place = re.split(r"[?#]", rest.rpartition("@")[2])[0]
    return f"{scheme if scheme in _SCHEMES else '...'}{separator}{place}" if separator else place


def checked_url(url: str) -> str:
    """Return `url` if it can be that of a Redis.

    Raises:
        ConfigurationError: It cannot.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"url={url!r} is no URL, {_EXAMPLE}")
    shown = shown_url(url)
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ConfigurationError(f"url={shown!r} cannot be read, {_EXAMPLE}") from None
    if parts.scheme not in _SCHEMES:
        raise ConfigurationError(
            f"url={shown!r} must begin with redis://, rediss:// (TLS) or unix://, {_EXAMPLE}"
        )
    if parts.scheme == "unix":
        if not parts.path:
            raise ConfigurationError(f"url={shown!r} has no path, such as 'unix:///run/redis.sock'")
    elif not host or port == 0:
        raise ConfigurationError(f"url={shown!r} has no {'port' if host else 'host'}, {_EXAMPLE}")
    elif not re.fullmatch(r"/?\d*", parts.path):
        raise ConfigurationError(f"url={shown!r} must end in the number of a database, {_EXAMPLE}")
    return url
