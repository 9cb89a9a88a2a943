"""The wire, sans-IO: the handshake and frames of RFC 6455, the compression of RFC 7692."""
