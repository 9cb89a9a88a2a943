"""A pytest plugin: the test client of Starlette, which is FastAPI's too, is the one of asgi_ws.testing."""

from typing import Any

import starlette.testclient

from asgi_ws.testing import TestClient as Kit


class TestClient(Kit):
    """The kit's client, with the backend options that Starlette's fixtures give, empty but for Trio."""

    __test__ = False

    def __init__(self, app: Any, *args: Any, backend_options: Any = None, **options: Any) -> None:
        super().__init__(app, *args, **options)


setattr(starlette.testclient, "TestClient", TestClient)  # noqa: B010 -- type checkers refuse an assignment
