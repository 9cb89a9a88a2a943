"""Names of the ASGI extensions that this package uses or offers."""

from typing import Final

# The extension by which an application asks a server to drop the connection without a closing handshake: the key in
# `scope["extensions"]` and the type of the event are the same. It may be sent while another send waits.
ABORT_EXTENSION: Final = "asgi_ws.abort"

# The extension by which an application limits a message to fewer bytes than the server does: the key in
# `scope["extensions"]`, and in the event `websocket.accept` with the number. A server that ends the connection for a
# message that is too big has the key in the event `websocket.disconnect` as well.
MESSAGE_BYTES_EXTENSION: Final = "asgi_ws.max_message_bytes"

# The extension by which a handshake is answered with a response of the application's (ASGI, "Extensions").
DENIAL_EXTENSION: Final = "websocket.http.response"
