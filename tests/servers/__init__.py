"""Real ASGI servers as processes, an application that tells what its handlers saw, and clients for it."""
