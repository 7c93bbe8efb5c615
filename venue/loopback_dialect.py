"""The same frames said differently: keys in another order, and keys that nobody announced.

Must not know what frames mean. Called by connections where the settings ask for it: a client may
depend on neither (PROTOCOL 1.2, 10 no. 10). Numbers keep their digits.
"""

import json
import zlib
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()
_NEWS: tuple[object, ...] = (None, True, "text", 7, [], {"inner": 1})


def plain(frame: str) -> str:
    """Give a frame as it is."""
    return frame


class Varied:
    """Says every frame anew. Mutable: a counter; the same seed and frames give the same texts."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._said = 0

    def __call__(self, frame: str) -> str:
        """Shuffle the keys of every object, and add a key to the outer ones and to rows of data."""
        self._said += 1
        body = json.loads(frame, parse_float=_token, parse_int=_token)
        return _ENCODER.encode(self._object(body, depth=0)).decode()

    def _object(self, body: dict[str, Any], depth: int) -> dict[str, Any]:
        inner = {key: self._value(value, depth + 1) for key, value in body.items()}
        if depth < 2 and inner.keys() != {"channel"}:  # the heartbeat stays as short as it is
            number = self._draw(f"news {depth}")
            inner[f"x_new_{number % 97}"] = _NEWS[number % len(_NEWS)]
        return {key: inner[key] for key in sorted(inner, key=self._draw)}

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self._object(value, depth)
        return [self._value(part, depth) for part in value] if isinstance(value, list) else value

    def _draw(self, text: str) -> int:
        return zlib.crc32(f"{self._seed}/{self._said}/{text}".encode())


def _token(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())
