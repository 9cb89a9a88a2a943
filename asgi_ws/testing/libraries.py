"""The libraries that the kit needs, imported in one place: the error for a missing one says how to install it."""

try:
    import httpx2
    from asgiref.testing import ApplicationCommunicator
except ModuleNotFoundError as error:
    library = str(error.name).partition(".")[0]
    raise ImportError(
        f"asgi_ws.testing needs {library}, part of the extra 'testing': pip install {library}",
        name=library,
    ) from error

__all__ = ["ApplicationCommunicator", "httpx2"]
