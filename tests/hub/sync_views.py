"""Rooms, and beside them the synchronous views of FastAPI and Django, in one process."""

import os
from collections.abc import Callable

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from fastapi import FastAPI

from asgi_ws import App, Mount

from .served_app import hub, served

fastapi = FastAPI()


def _delivered(publish: Callable[[], object]) -> int:
    before = hub.statistics().delivered
    publish()
    return hub.statistics().delivered - before


@fastapi.get("/publish/{room}")
def publish_in_fastapi(room: str, text: str) -> dict[str, int]:
    return {"delivered": _delivered(lambda: hub.publish_from_thread(room, text))}


def publish_in_django(request: HttpRequest, room: str) -> JsonResponse:
    text = str(request.GET["text"])
    return JsonResponse({"delivered": _delivered(lambda: hub.publish_from_thread(room, text))})


urlpatterns = [path("django/publish/<str:room>", publish_in_django)]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.django_settings")
django.setup()
settings.ROOT_URLCONF = __name__
settings.ALLOWED_HOSTS = ["127.0.0.1"]

app = App(
    [
        *served.routes,
        Mount("/fastapi", fastapi),
        Mount("/", get_asgi_application(), scope_types=["http"]),
    ],
    lifespan=[hub],
)
