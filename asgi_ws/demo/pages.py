"""The files of the pages, as responses. Pages load nothing from other hosts and run no inline scripts."""

from collections.abc import Mapping
from pkgutil import get_data
from string import Template
from types import MappingProxyType
from typing import Final

from ..http.responses import HTMLResponse, Response

_PACKAGE: Final = __name__.rpartition(".")[0]
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": _CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
)


def file(name: str, media_type: str) -> Response:
    """Return a file of this package as a response."""
    return Response(get_data(_PACKAGE, name) or b"", headers=HEADERS, media_type=media_type)


def html(name: str, numbers: Mapping[str, float], headers: Mapping[str, str] = HEADERS) -> Response:
    """Return a page with each `$name` replaced by its number, so that the page states the limits of the server."""
    text = Template((get_data(_PACKAGE, name) or b"").decode()).substitute(numbers)
    return HTMLResponse(text, headers=headers)
