"""The libraries that the kit stands on, imported in one place: who lacks one is told the line that installs it."""

try:
    import httpx2
    from asgiref.testing import ApplicationCommunicator
except ModuleNotFoundError as error:
    library = str(error.name).partition(".")[0]
    raise ImportError(
        f"asgi_ws.testing needs {library}, which the extra 'testing' of asgi-ws brings: pip install {library}",
        name=library,
    ) from error

__all__ = ["ApplicationCommunicator", "httpx2"]
