"""How much a JSON text would become, without parsing it: Python takes up to thirty times its bytes."""

_KEPT = b"[]{},"
_REST = bytes(byte for byte in range(256) if byte not in _KEPT)
_AT_ONCE = 1 << 20  # bytes; other threads run between two pieces


def within(text: bytes, depth: int, values: int) -> bool:
    """Whether it has no more brackets within brackets and no more values than that. Brackets and commas in strings are
    counted, too; no picture's base64 has any."""
    marks = b"".join(text[at : at + _AT_ONCE].translate(None, _REST) for at in range(0, len(text), _AT_ONCE))
    if len(marks) > 2 * values:
        return False
    open_ = found = 0
    for mark in marks:
        if mark in b"[{":
            open_ += 1
            found += 1
            if open_ > depth:
                return False
        elif mark in b"]}":
            open_ -= 1
        else:
            found += 1
    return found <= values
