"""The default application below a path of another one."""

import asgi_ws

app = asgi_ws.App([asgi_ws.Mount("/below", asgi_ws.app)])


def make() -> asgi_ws.App:
    """Return it, for `--factory`."""
    return app
