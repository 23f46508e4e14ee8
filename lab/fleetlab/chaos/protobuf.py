"""Just enough of protobuf's wire format to read fleet's records (src/registry/records.proto)."""


def fields(data):
    """{field number: [values]}; a value is an int or bytes."""
    found, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            size, at = _varint(data, at)
            value, at = data[at:at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {kind} at {at}")
        found.setdefault(number, []).append(value)
    return found


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def text(found, number):
    return found[number][-1].decode() if number in found else ""


def number(found, field):
    return found[field][-1] if field in found else 0
