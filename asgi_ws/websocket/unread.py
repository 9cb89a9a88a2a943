"""Messages that came while nobody received."""

from typing import Final

from ..sizes import size_of

# Bounds on the messages that wait unread while `wait_closed` or `until_closed` reads. Past either one messages are
# dropped and counted.
UNREAD_MESSAGES: Final = 1024
UNREAD_BYTES: Final = 256 * 1024


class UnreadMessages(list[str | bytes]):
    """Messages that came while nobody received, oldest first, bounded in number and in bytes."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        super().__init__()
        # Their bytes on the wire.
        self._size = 0

    def put(self, data: str | bytes) -> bool:
        """Queue a message; return False if that would exceed a bound."""
        size = size_of(data)
        if len(self) >= UNREAD_MESSAGES or self._size + size > UNREAD_BYTES:
            return False
        self.append(data)
        self._size += size
        return True

    def take(self) -> str | bytes:
        """Remove and return the oldest message. Raises IndexError if there is none."""
        data = self.pop(0)
        self._size -= size_of(data)
        return data
