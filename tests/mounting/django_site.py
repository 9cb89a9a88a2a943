"""A Django site in one module: a view and its ASGI application."""

import os

from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse

from asgi_ws._asgi import ASGIApp


def page(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(
        f"{request.method} {request.path} {reverse('page', args=[number])} {request.body.decode()}".encode()
    )


urlpatterns = [path("page/<int:number>/", page, name="page")]


def application() -> ASGIApp:
    """Return the site's ASGI application, which raises on anything but HTTP."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.django_settings")
    app: ASGIApp = get_asgi_application()
    return app
