"""The events of an application, held against the ASGI text."""
