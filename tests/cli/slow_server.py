"""A model server that never comes to an end: it streams one word after another until its client goes away."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.backends.server import ModelServer, chunk


class EndlessServer(ModelServer):
    """Says when it has been left."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.was_left = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.endless = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"


@contextmanager
def never_ending(word: str = "on ") -> Iterator[EndlessServer]:
    server = EndlessServer(word)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        endless: EndlessServer = self.server.endless  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            while True:
                self.wfile.write(f"data: {json.dumps(chunk({'content': endless.word}))}\n\n".encode())
                self.wfile.flush()
                time.sleep(0.02)
        except OSError:
            endless.was_left.set()

    def log_message(self, *args: object) -> None:
        pass
