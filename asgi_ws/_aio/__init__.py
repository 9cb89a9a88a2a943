"""Additions to asyncio. They know nothing of ASGI."""
