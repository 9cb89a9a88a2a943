"""JSON, by the standard library or by the functions of another one."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from .errors import InvalidJSON


@dataclass(frozen=True, slots=True)
class JSONCodec:
    """How values become JSON text and back; other libraries' functions fit: `JSONCodec(orjson.dumps, orjson.loads)`.

    Attributes:
        dumps: a value to text, or to UTF-8 bytes.
        loads: text or UTF-8 bytes to a value; any exception it raises means that the text is not valid.
    """

    dumps: Callable[[Any], str | bytes]
    loads: Callable[[str | bytes], Any]

    def encode_text(self, value: Any) -> str:
        """Return the JSON text of a value."""
        encoded = self.dumps(value)
        return encoded if isinstance(encoded, str) else encoded.decode()

    def encode_bytes(self, value: Any) -> bytes:
        """Return the JSON text of a value in UTF-8."""
        encoded = self.dumps(value)
        return encoded.encode() if isinstance(encoded, str) else encoded

    def decode(self, data: str | bytes) -> Any:
        """Return the value of a JSON text.

        Raises:
            InvalidJSON: if it is none. A text nested too deeply for the decoder counts as none as well.
        """
        try:
            return self.loads(data)
        except Exception as error:
            raise InvalidJSON(data) from error


def _reject_constant(name: str) -> NoReturn:
    # RFC 8259 section 6: "Numeric values that cannot be represented in the grammar (such as Infinity and NaN) are not
    # permitted"; the standard library takes them unless told otherwise.
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    # RFC 8259 section 6 leaves the range to us: what is read as infinity could not be sent again.
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is out of range")
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_reject_constant, parse_float=_finite)


def _loads(data: str | bytes) -> Any:
    return _DECODER.decode(data if isinstance(data, str) else data.decode())


def _dumps(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # A lone surrogate can come from a peer, as "\ud800", but has no UTF-8: send it the way it came.
    if text.isascii() or _encodable(text):
        return text
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


STANDARD_JSON: Final = JSONCodec(_dumps, _loads)
