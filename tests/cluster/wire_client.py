"""Speaks Penstock RPC as docs/formats/wire.md describes it, in plain Python: a second implementation
keeps the page honest. Builds correct frames and, on wish, broken ones."""

import hashlib
import hmac
import os
import socket
import struct

MAGIC, VERSION, HEADER_BYTES = 0x4B545350, 1, 48
ROLE_CLIENT = 1
HELLO, PROVE, PING, OPEN_SESSION, LOOKUP, MKDIR, READ_CHUNKS = 1, 2, 3, 16, 32, 36, 65
CODE_OK, CODE_INVALID, CODE_PRECONDITION, CODE_UNAUTHENTICATED = 0, 3, 9, 16
REASON_AUTHENTICATION, REASON_WRONG_CLUSTER, REASON_VERSION = 13, 14, 15
REASON_TOO_LARGE, REASON_UNKNOWN_METHOD = 18, 19

_TABLE = []
for _i in range(256):
    _c = _i
    for _ in range(8):
        _c = (_c >> 1) ^ (0x82F63B78 if _c & 1 else 0)
    _TABLE.append(_c)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


# --- as much Protobuf as the messages here need -----------------------------------------------------
def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A field: bytes and str length-delimited, int as varint, ('fixed64', n) as such."""
    if isinstance(value, tuple):
        return varint(number << 3 | 1) + struct.pack("<Q", value[1])
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b""


def parse(message):
    """{number: last value} of a flat message."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        key = number()
        if key & 7 == 0:
            fields[key >> 3] = number()
        elif key & 7 == 2:
            length = number()
            fields[key >> 3] = message[at:at + length]
            at += length
        else:
            size = 8 if key & 7 == 1 else 4
            fields[key >> 3] = int.from_bytes(message[at:at + size], "little")
            at += size
    return fields


def frame(method, message=b"", payload=b"", **changes):
    """A request frame; `changes` overwrite header fields, `bad_crc=True` breaks the checksum."""
    head = dict(magic=MAGIC, version=VERSION, kind=1, method=method, request_id=7,
                message_bytes=len(message), payload_bytes=len(payload), code=0, err=0, reason=0,
                flags=0, deadline_ms=5000, reserved=0)
    bad_crc = changes.pop("bad_crc", False)
    head.update(changes)
    header = struct.pack("<IBBHQIIHHHHIQ", head["magic"], head["version"], head["kind"],
                         head["method"], head["request_id"], head["message_bytes"],
                         head["payload_bytes"], head["code"], head["err"], head["reason"],
                         head["flags"], head["deadline_ms"], head["reserved"])
    assert len(header) == HEADER_BYTES - 4
    crc = crc32c(header + message) ^ (1 if bad_crc else 0)
    return header + struct.pack("<I", crc) + message + payload


class Reply:
    def __init__(self, header, message, payload):
        self.code, self.err, self.reason = struct.unpack_from("<HHH", header, 24)
        self.method, self.request_id = struct.unpack_from("<HQ", header, 6)
        self.message, self.payload = message, payload
        self.text = parse(message).get(1, b"").decode(errors="replace") if self.code else ""
        stored, = struct.unpack_from("<I", header, 44)
        assert stored == crc32c(header[:44] + message), "the reply's checksum is wrong"


class Connection:
    def __init__(self, port, timeout_s=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server closed first; read_reply tells

    def receive(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            data += part
        return data

    def read_reply(self):
        """A Reply, or None when the server closed the connection."""
        header = self.receive(HEADER_BYTES)
        if header is None:
            return None
        message_bytes, payload_bytes = struct.unpack_from("<II", header, 16)
        assert message_bytes <= 4 << 20 and payload_bytes <= 64 << 20, "an absurd reply"
        message = self.receive(message_bytes) if message_bytes else b""
        return Reply(header, message, self.receive(payload_bytes) if payload_bytes else b"")

    def call(self, method, message=b"", **changes):
        self.send(frame(method, message, **changes))
        return self.read_reply()

    def hello(self, cluster_id="", version=VERSION, nonce=None):
        self.nonce, self.cluster_id = os.urandom(32) if nonce is None else nonce, cluster_id
        reply = self.call(HELLO, field(1, version) + field(2, cluster_id) + field(3, self.nonce) +
                          field(4, ROLE_CLIENT))
        if reply and reply.code == CODE_OK:
            self.server_nonce = parse(reply.message)[3]
        return reply

    def prove(self, key):
        reply = self.call(PROVE, field(1, self.proof(key, b"penstock client v1")))
        if reply and reply.code == CODE_OK:
            assert parse(reply.message)[1] == self.proof(key, b"penstock server v1")
        return reply

    def proof(self, key, label):
        text = label + self.nonce + self.server_nonce + bytes([VERSION, ROLE_CLIENT]) + self.cluster_id.encode()
        return hmac.new(key, text, hashlib.sha256).digest()

    def authenticate(self, key, cluster_id=""):
        assert self.hello(cluster_id).code == CODE_OK
        reply = self.prove(key)
        assert reply.code == CODE_OK, reply.text
        return self
