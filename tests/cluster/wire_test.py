"""Bad peers at the real ports: they are refused, get nothing, and the servers live on."""

import os
import random
import socket
import struct
import time

import harness
import wire_client as wire
from harness import read_file, write_file


class WireTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(cls.cluster.dir, "keys", "cluster.key")) as file:
            cls.key = bytes.fromhex(file.read().strip())
        cls.ports = [cls.cluster.base_port] + [cls.cluster.base_port + 10 + i for i in (1, 2, 3)]

    def setUp(self):
        super().setUp()
        self.before = {kind: self.cluster.processes(kind) for kind in ("metaserver", "chunkserver")}

    def tearDown(self):
        for kind, pids in self.before.items():
            self.assertEqual(self.cluster.processes(kind), pids, f"a {kind} died")
        for port in self.ports:
            with wire.Connection(port) as connection:
                connection.authenticate(self.key)
                self.assertEqual(connection.call(wire.PING).code, wire.CODE_OK)
        write_file(self.path("alive"), b"x" * 10_000)
        self.assertEqual(read_file(self.path("alive")), b"x" * 10_000)
        super().tearDown()

    def test_the_checksum_is_crc32c(self):
        self.assertEqual(wire.crc32c(b"123456789"), 0xE3069283)

    def test_a_peer_with_the_key_is_answered(self):
        cluster_id = self.cluster.admin("status")["cluster_id"]
        for port in self.ports:
            for named in ("", cluster_id):
                with wire.Connection(port) as connection:
                    connection.authenticate(self.key, named)
                    reply = connection.call(wire.PING)
                    self.assertEqual((reply.code, reply.request_id), (wire.CODE_OK, 7))
                    self.assertIn(b"penstock", wire.parse(reply.message)[1])

    def test_a_wrong_key_is_refused_and_the_connection_closed(self):
        for port in self.ports:
            with wire.Connection(port) as connection:
                connection.hello()
                reply = connection.prove(os.urandom(32))
                self.assertEqual((reply.code, reply.reason),
                                 (wire.CODE_UNAUTHENTICATED, wire.REASON_AUTHENTICATION))
                self.assertIsNone(connection.read_reply())

    def test_nothing_is_answered_before_the_key_is_proved(self):
        for port in self.ports:
            for method in (wire.PING, wire.OPEN_SESSION, wire.LOOKUP, wire.READ_CHUNKS, wire.PROVE):
                with wire.Connection(port) as connection:
                    reply = connection.call(method)
                    self.assertEqual(reply.reason, wire.REASON_AUTHENTICATION, method)
                    self.assertIsNone(connection.read_reply())
                with wire.Connection(port) as connection:
                    connection.hello()
                    reply = connection.call(method)
                    self.assertEqual(reply.reason, wire.REASON_AUTHENTICATION, method)

    def test_a_proof_cannot_be_replayed(self):
        with wire.Connection(self.ports[0]) as first, wire.Connection(self.ports[0]) as second:
            first.hello(nonce=b"n" * 32)
            second.hello(nonce=b"n" * 32)
            self.assertNotEqual(first.server_nonce, second.server_nonce)
            reply = second.call(wire.PROVE, wire.field(1, first.proof(self.key, b"penstock client v1")))
            self.assertEqual(reply.reason, wire.REASON_AUTHENTICATION)

    def test_another_cluster_is_refused(self):
        for port in self.ports:
            with wire.Connection(port) as connection:
                reply = connection.hello("00000000-0000-4000-8000-000000000000")
                self.assertEqual((reply.code, reply.reason),
                                 (wire.CODE_PRECONDITION, wire.REASON_WRONG_CLUSTER))

    def test_another_protocol_version_is_refused_in_header_and_hello(self):
        for port in self.ports:
            with wire.Connection(port) as connection:
                reply = connection.hello(version=99)
                self.assertEqual(reply.reason, wire.REASON_VERSION)
                self.assertIn("99", reply.text)
            with wire.Connection(port) as connection:
                reply = connection.call(wire.HELLO, version=77)
                if reply is not None:
                    self.assertEqual(reply.reason, wire.REASON_VERSION)
                self.assertIsNone(connection.read_reply())

    def test_broken_frames_close_the_connection(self):
        broken = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(40), b"\0" * 48, os.urandom(300),
                  wire.frame(wire.PING, bad_crc=True), wire.frame(wire.PING, magic=1),
                  wire.frame(wire.PING, kind=2), wire.frame(wire.PING, kind=9),
                  wire.frame(wire.PING, flags=0x80), wire.frame(wire.PING, code=3),
                  wire.frame(wire.PING, reserved=1),
                  wire.frame(wire.PING, message_bytes=0xFFFFFFFF),
                  wire.frame(wire.PING, payload_bytes=0xFFFFFFFF)]
        for port in self.ports:
            for authenticated in (False, True):
                for data in broken:
                    with wire.Connection(port) as connection:
                        if authenticated:
                            connection.authenticate(self.key)
                        connection.send(data)
                        reply = connection.read_reply()
                        if reply is not None:
                            self.assertNotEqual(reply.code, wire.CODE_OK)
                            self.assertIsNone(connection.read_reply())

    def test_messages_that_cannot_be_parsed_are_refused(self):
        generator = random.Random(harness.seed())
        for port in self.ports:
            with wire.Connection(port) as connection:
                connection.authenticate(self.key)
                for method in list(range(16, 20)) + list(range(32, 54)) + list(range(64, 68)):
                    reply = connection.call(method, b"\xff" * 11)
                    self.assertIsNotNone(reply, method)
                    self.assertNotEqual(reply.code, wire.CODE_OK, method)

    def test_random_messages_to_every_method_do_no_harm(self):
        generator = random.Random(harness.seed())
        print(f"[seed {harness.seed()}] ", end="", flush=True)
        methods = [m for m in list(range(16, 19)) + list(range(32, 54)) + list(range(64, 68))]
        for port in self.ports:
            for _ in range(150):
                with wire.Connection(port) as connection:
                    connection.authenticate(self.key)
                    message = b"".join(wire.field(generator.randrange(1, 14), generator.choice([
                        generator.randrange(1 << 40), generator.randbytes(generator.randrange(1, 30)),
                        ("fixed64", generator.randrange(1 << 63))]))
                        for _ in range(generator.randrange(6)))
                    connection.call(generator.choice(methods), message, deadline_ms=500)

    def test_an_unknown_method_says_so_and_the_connection_goes_on(self):
        for port in self.ports:
            with wire.Connection(port) as connection:
                connection.authenticate(self.key)
                for method in (0, 9, 60, 999, 65535):
                    self.assertEqual(connection.call(method).reason, wire.REASON_UNKNOWN_METHOD)
                self.assertEqual(connection.call(wire.PING).code, wire.CODE_OK)

    def test_oversized_messages_are_refused_without_being_read(self):
        for port in self.ports:
            with wire.Connection(port) as connection:
                connection.authenticate(self.key)
                connection.send(wire.frame(wire.LOOKUP, message_bytes=5 << 20))
                reply = connection.read_reply()
                self.assertTrue(reply is None or reply.reason == wire.REASON_TOO_LARGE)

    def test_oversized_names_are_refused_by_the_metaserver(self):
        with wire.Connection(self.ports[0]) as connection:
            connection.authenticate(self.key)
            reply = connection.call(wire.OPEN_SESSION, wire.field(1, "test") + wire.field(2, "/none"))
            self.assertEqual(reply.code, wire.CODE_OK, reply.text)
            session = wire.parse(reply.message)[1]
            root = (1 << 40) | 1
            for name, number in ((b"n" * 256, 36), (b"n" * 100_000, 36), (b"", 22), (b"a/b", 22),
                                 (b"a\0b", 22), (b".", None), (b"..", None)):
                context = (wire.field(1, ("fixed64", session)) + wire.field(2, 1) +
                           wire.field(3, 1000 + len(name)))
                reply = connection.call(wire.MKDIR, wire.field(1, context) + wire.field(
                    2, ("fixed64", root)) + wire.field(3, name) + wire.field(4, 0o755))
                self.assertNotEqual(reply.code, wire.CODE_OK, name[:20])
                if number == 36:
                    self.assertEqual(reply.err, number, reply.text)

    def test_half_frames_and_silence_hold_nothing_up(self):
        sleepers = []
        for port in self.ports:
            for _ in range(20):
                sleepers.append(wire.Connection(port))
            for cut in (1, 30, 47):
                connection = wire.Connection(port)
                connection.send(wire.frame(wire.HELLO)[:cut])
                sleepers.append(connection)
        started = time.monotonic()
        write_file(self.path("f"), b"y" * 100_000)
        self.assertEqual(read_file(self.path("f")), b"y" * 100_000)
        self.assertLess(time.monotonic() - started, 5)
        deadline = time.monotonic() + 20  # the handshake's limit is 5 s
        for connection in sleepers:
            connection.socket.settimeout(max(0.1, deadline - time.monotonic()))
            self.assertIsNone(connection.read_reply(), "silent peers must be closed")
            connection.socket.close()

    def test_a_reset_in_the_middle_of_a_request_does_no_harm(self):
        for port in self.ports:
            for _ in range(30):
                connection = wire.Connection(port)
                connection.authenticate(self.key)
                connection.send(wire.frame(wire.LOOKUP, b"x" * 100, message_bytes=200))
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                             struct.pack("ii", 1, 0))
                connection.socket.close()

    def test_the_control_plane_refuses_those_without_a_certificate(self):
        import ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with self.assertRaises((ssl.SSLError, ConnectionError, OSError)):
            with socket.create_connection(("127.0.0.1", self.cluster.base_port + 1), 5) as plain:
                with context.wrap_socket(plain) as tls:  # TLS 1.3 refuses at the first read
                    tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                    while tls.recv(1000):
                        pass
                    raise ConnectionError("closed")
        with socket.create_connection(("127.0.0.1", self.cluster.base_port + 1), 5) as plain:
            plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            self.assertNotIn(b"grpc", plain.recv(1000))
