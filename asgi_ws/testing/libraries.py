"""The libraries that the kit stands on, imported in one place: who lacks one is told the line that installs it."""

try:
    import httpx2
    from asgiref.testing import ApplicationCommunicator
except ModuleNotFoundError as error:
    raise ImportError(
        f"asgi_ws.testing needs {error.name}, which is not installed: the extra 'testing' of asgi-ws brings it, or "
        f"pip install {error.name}",
        name=error.name,
    ) from error

__all__ = ["ApplicationCommunicator", "httpx2"]
