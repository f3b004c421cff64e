"""A relay before an NBD server, which counts what clients are sent."""

import contextlib
import socket
import threading
from urllib.parse import urlsplit, urlunsplit


class Relay:
    """Answers on a port of its own; `uri` is the export's by way of it."""

    def __init__(self, uri: str):
        parts = urlsplit(uri)
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        host, port = self._listener.getsockname()
        self.uri = urlunsplit(parts._replace(netloc=f"{host}:{port}"))
        self._lock = threading.Lock()
        self._sockets = []
        self._threads = []
        self._received = 0
        self._start(self._accept)

    @property
    def received(self) -> int:
        """Bytes that clients were sent so far."""
        with self._lock:
            return self._received

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            self._start(self._copy, client, server, 0)
            self._start(self._copy, server, client, 1)

    def _copy(self, source, target, counts):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                with self._lock:
                    self._received += counts * len(data)
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def relay(uri: str):
    between = Relay(uri)
    try:
        yield between
    finally:
        between.close()
