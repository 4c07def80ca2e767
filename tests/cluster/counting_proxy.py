"""A relay between a mount and its metaserver that counts the requests by method.

Frames are clear after the handshake, and the handshake does not name addresses, so a relay can read
along; it changes nothing.
"""

import collections
import socket
import struct
import threading

HEADER_BYTES = 48
BACKGROUND = {1, 2, 3, 16, 17, 18, 19, 20}  # handshake, ping, session, heartbeat, cluster map, events


class CountingProxy:
    def __init__(self, port):
        self.target = port
        self.calls = collections.Counter()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def reset(self):
        with self.lock:
            self.calls.clear()

    def counted(self):
        """Requests by method number since the last reset, those of the background left out."""
        with self.lock:
            return {method: count for method, count in self.calls.items()
                    if method not in BACKGROUND}

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.relay, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.relay, args=(server, client, False), daemon=True).start()

    def relay(self, source, sink, count):
        pending = b""
        try:
            while data := source.recv(1 << 18):
                if count:  # before it is passed on: who has the answer finds it counted
                    pending = self.count(pending + data)
                sink.sendall(data)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def count(self, data):
        """Counts the whole frames at the head of `data`; returns the rest."""
        while len(data) >= HEADER_BYTES:
            method, = struct.unpack_from("<H", data, 6)
            message_bytes, payload_bytes = struct.unpack_from("<II", data, 16)
            size = HEADER_BYTES + message_bytes + payload_bytes
            if len(data) < size:
                break
            with self.lock:
                self.calls[method] += 1
            data = data[size:]
        return data
