"""A server on loopback that answers each page with what it was given."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

RECORDED: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("window_bodies.json").read_text("utf-8"))[
    "servers"
]
"""What real servers answer, by name; each entry says whose words and what they mean."""


@dataclass(frozen=True)
class Page:
    """One answer, down to its bytes."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0


@dataclass
class PageServer:
    """What it answers, by "GET /path", and what it was asked; a page it does not have is 404."""

    url: str
    pages: dict[str, object]
    """A `Page`, or what is sent as JSON."""
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


def listing(**fields: object) -> dict[str, object]:
    """A list of two models as OpenAI's protocol has it; the fields are those of the model `m`."""
    return {"GET /v1/models": {"data": [{"id": "m", **fields}, {"id": "other", "max_model_len": 1}]}}


def plain(server: PageServer, name: str = "m", **options: Any) -> OpenAIChatModel:
    """A model of pydantic-ai's own, with a key and a server of one's own."""
    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=server.url, api_key="k"), **options)


@contextmanager
def serving_pages(pages: Mapping[str, object]) -> Iterator[PageServer]:
    http = _Http(("127.0.0.1", 0), _Handler)
    http.pages = PageServer(f"http://127.0.0.1:{http.server_port}/v1", dict(pages))
    thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield http.pages
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    pages: PageServer


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def do_GET(self) -> None:
        server = self.server.pages
        server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        server.headers.append({name.lower(): value for name, value in self.headers.items()})
        name = f"{self.command} {self.path}"
        server.asked.append(name)
        answer = server.pages.get(name, Page(b'{"error": "not found"}', 404))
        self._send(answer if isinstance(answer, Page) else Page(json.dumps(answer).encode()))

    def do_POST(self) -> None:
        self.do_GET()

    def _send(self, page: Page) -> None:
        time.sleep(page.delay_seconds)
        try:
            self.send_response(page.status)
            for name, value in {"Content-Type": "application/json", **page.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page.body)
        except ConnectionError:
            pass  # who asked gave up first, which some tests are about

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002
