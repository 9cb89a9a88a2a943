"""Real ASGI servers as processes, an application that reports what its handlers saw, and clients for it."""
