"""An entry as bytes, for stores that keep nothing else.

```
offset  size
0       1      the version of this form
1       1      kind of the payload, and whether it is compressed
2       8      fresh_us
10      8      keep_us
18      8      took_us
26      4      bytes of the payload, as it was before it was compressed
30      1      length of the codec's name, which follows
...            the payload
```
"""

from __future__ import annotations

import struct
import zlib

from ._stored import Entry, Kind

__all__ = ["pack", "unpack"]

_FORM = 1
_COMPRESSED = 0x80
_HEAD = struct.Struct(">BBQQQIB")
# The quickest level: on JSON it saves three quarters, and the others little more.
_LEVEL = 1
# Looked up here, for an Enum's own way takes longer than all the rest.
_KINDS = {kind.value: kind for kind in Kind}
_MOST_PAYLOAD = 2**32 - 1


def pack(entry: Entry, compress_above: int) -> bytes:
    """*entry* as bytes; a payload of more bytes than *compress_above* is compressed if it helps.

    Raises:
        ValueError: If the payload is 4 GiB or more.
    """
    payload, flags = entry.payload, entry.kind.value
    if len(payload) > _MOST_PAYLOAD:
        raise ValueError("the payload is too large")
    if len(payload) > compress_above:
        smaller = zlib.compress(payload, _LEVEL)
        if len(smaller) < len(payload):
            payload, flags = smaller, flags | _COMPRESSED
    codec = entry.codec.encode("ascii")
    times = entry.fresh_us, entry.keep_us, entry.took_us
    head = _HEAD.pack(_FORM, flags, *times, len(entry.payload), len(codec))
    return b"".join((head, codec, payload))


def unpack(data: bytes, begin: int = 0, most_bytes: int = _MOST_PAYLOAD) -> Entry | None:
    """The entry that *data* holds from *begin* on; None if it holds none, or one of another form.

    Nor one of more than *most_bytes*: whoever writes the store does not decide how much of our
    memory it takes. A compressed payload is never inflated beyond the size that was noted.
    """
    head = begin + _HEAD.size
    if len(data) < head or data[begin] != _FORM:
        return None
    _, flags, fresh, keep, took, size, length = _HEAD.unpack_from(data, begin)
    start = head + length
    payload = data[start:]
    if size > most_bytes:
        return None
    try:
        codec = str(data[head:start], "ascii")
        kind = _KINDS.get(flags) or Kind(flags & ~_COMPRESSED)
        if flags & _COMPRESSED:
            payload = zlib.decompressobj().decompress(payload, size + 1)
    except (ValueError, zlib.error):
        return None
    if len(payload) != size:
        return None
    return Entry(payload, codec, fresh, keep, took, kind)
