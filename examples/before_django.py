"""Put asgi_ws in front of a Django site, here a single view in the same file."""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from asgi_ws import App, Mount, WebSocket, WebSocketRoute, websocket_app

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"])
django.setup()


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"Hello from Django")


urlpatterns = [path("hello", hello)]


@websocket_app
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    async for message in ws:
        await ws.send(message)


app = App(
    [
        WebSocketRoute("/echo", echo),
        Mount("/", get_asgi_application(), scope_types=["http"]),
    ]
)
