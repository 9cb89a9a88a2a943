"""One WebSocket connection: its states, its exchange with the server, and the object that handlers use."""
