"""One application on four foundations, each written as its users would write it; uvicorn runs any of them.

`/hello` is HTTP. The rest are WebSockets: `/ws` answers every message with "OK!", `/echo` with itself, `/fanout` is one
room where everyone gets what anyone sends, and `/stall` floods whoever comes and takes part in the room after that.
"""
