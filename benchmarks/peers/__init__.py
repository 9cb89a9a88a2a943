"""The same surface on WebSocket servers that run no ASGI application, each a program with the same options.

`/hello`, `/ws`, `/echo`, `/fanout` and `/stall` are those of `benchmarks.apps`. The one on Node.js is in `node`.
"""
