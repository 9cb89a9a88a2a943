"""A Django site in one module: settings, a view, its ASGI application."""

# mypy: disable-error-code="import-untyped"
# Django comes without types.
import django
from django.conf import settings
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
    """The site's ASGI application, which raises on anything but HTTP."""
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"], SECRET_KEY="for tests alone", DEBUG=False
        )
        django.setup()
    app: ASGIApp = get_asgi_application()
    return app
