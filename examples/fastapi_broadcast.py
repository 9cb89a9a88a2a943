"""FastAPI: clients on a topic receive each message that is posted to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

from asgi_ws import Hub

hub = Hub()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with hub:
        yield


app = FastAPI(lifespan=lifespan)


class News(BaseModel):
    headline: str


@app.post("/topics/{topic}", status_code=202)
async def post(topic: str, news: News) -> None:
    await hub.publish_json(topic, news.model_dump())


@app.websocket("/topics/{topic}")
async def listen(websocket: WebSocket, topic: str) -> None:
    await websocket.accept()
    async with hub.join(websocket, topic):
        async for _ in websocket.iter_text():
            pass  # Ignore messages. The loop ends when the client leaves.
