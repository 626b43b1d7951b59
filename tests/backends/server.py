"""A model server on loopback that speaks OpenAI's protocol, with the manners a test gives it."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


class ToLoopback(httpx2.AsyncHTTPTransport):
    """Brings what is meant for another machine to a server on loopback."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = httpx2.URL(url)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host=self.url.host, port=self.url.port)
        return await super().handle_async_request(request)


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: dict[str, Any]
    client: tuple[str, int] = ("", 0)
    """The other end of the connection."""

    @property
    def is_chat(self) -> bool:
        """Whether it asks for an answer, and not for what the server tells of itself."""
        return self.path.endswith(("/chat/completions", "/responses"))


@dataclass(frozen=True)
class Answer:
    """What the server gives to one chat request; streamed when the request asks for it."""

    text: str = "Hello there."
    reasoning: dict[str, str] = field(default_factory=dict)
    """By field name: `reasoning` or `reasoning_content`."""
    tool_calls: Sequence[dict[str, Any]] = ()
    usage: dict[str, int] | None = field(default_factory=lambda: dict(USAGE))
    """None leaves the field out."""
    model: str | None = None
    """The name the answer carries; the requested one unless given."""
    delay_seconds: float = 0
    pause_seconds: float = 0
    """Between two pieces of a stream."""
    status: int = 200
    raw: str | None = None
    """Sent as the body just as it is."""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Sequence[dict[str, Any]] | None = None
    """Sent just as they are when the request streams."""
    cut: bool = False
    """The connection ends before the answer does."""


def failure(status: int, body: object = None, **headers: str) -> Answer:
    """An error; a str body goes out as plain text, anything else as JSON."""
    if isinstance(body, str):
        return Answer(status=status, raw=body, content_type="text/plain", headers=headers)
    return Answer(status=status, raw=json.dumps(body or {"error": {"message": "busy"}}), headers=headers)


def tool_call(name: str, arguments: str = "{}", call_id: str = "call-1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: object) -> dict[str, Any]:
    """One piece of a stream; fields replace or join the usual ones."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **fields}


class ModelServer:
    """Gives the answers it holds in order, then `Answer()` for ever, and keeps what it was asked."""

    def __init__(self, answers: Sequence[Answer] = (), models: object = ("llama3.2", "qwen3:4b")) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []
        self.models = models
        """The names that `GET /models` lists, or the exact body it gives, or an `Answer`."""
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.model_server = self
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of the chat requests, oldest first."""
        return [call.body for call in self.calls if call.is_chat]

    def answer(self, body: dict[str, Any]) -> Answer:
        """Give the answer to this chat request."""
        return self.answers.pop(0) if self.answers else Answer()

    def serve(self) -> None:
        self._http.serve_forever(poll_interval=0.01)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class Echo(ModelServer):
    """Answers every prompt with itself."""

    def answer(self, body: dict[str, Any]) -> Answer:
        return Answer(body["messages"][-1]["content"])


@contextmanager
def serving(
    *answers: Answer, models: object = ("llama3.2", "qwen3:4b"), kind: type[ModelServer] = ModelServer
) -> Iterator[ModelServer]:
    server = kind(answers, models)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # tests come with many connections at once
    model_server: ModelServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as real servers keep them
    server: "_Http"

    def do_GET(self) -> None:
        self._record({})
        if isinstance(self.server.model_server.models, Answer):
            self._plain(self.server.model_server.models)
        else:
            self._send(200, json.dumps(_model_list(self.server.model_server.models)))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._record(body)
        if not self.server.model_server.calls[-1].is_chat:
            self._send(404, "{}")
            return
        answer = self.server.model_server.answer(body)
        time.sleep(answer.delay_seconds)
        if answer.raw is not None:
            self._plain(answer)
        elif body.get("stream"):
            self._stream(answer, body)
        else:
            self._send(200, json.dumps(_completion(answer, body)))

    def _record(self, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.model_server.calls.append(Call(self.command, self.path, headers, body, self.client_address))

    def _plain(self, answer: Answer) -> None:
        time.sleep(answer.delay_seconds if self.command == "GET" else 0)
        self._send(answer.status, answer.raw or "", answer.content_type, answer.headers)

    def _stream(self, answer: Answer, body: dict[str, Any]) -> None:
        chunks = _chunks(answer, body) if answer.chunks is None else answer.chunks
        pieces = [f"data: {json.dumps(piece)}\n\n" for piece in chunks]
        ending = [] if answer.cut else ["data: [DONE]\n\n"]
        self._send(200, [*pieces, *ending], "text/event-stream", answer=answer)

    def _send(
        self,
        status: int,
        body: str | list[str],
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        answer: Answer = Answer(),
    ) -> None:
        pieces = [piece.encode() for piece in ([body] if isinstance(body, str) else body)]
        try:
            self.send_response(status)
            for name, value in {"Content-Type": content_type, **(headers or {})}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(sum(map(len, pieces)) + answer.cut))
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)
                time.sleep(answer.pause_seconds)
            self.close_connection |= answer.cut
        except ConnectionError:
            pass  # the client gave up first, which some tests are about

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


def _model_list(models: object) -> object:
    if isinstance(models, tuple):
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in models]}
    return models


def _completion(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, **answer.reasoning}
    if answer.tool_calls:
        message = {**message, "content": None, "tool_calls": list(answer.tool_calls)}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if answer.tool_calls else "stop"}
    completion = {"id": "1", "object": "chat.completion", "created": 1, "choices": [choice]}
    usage = {} if answer.usage is None else {"usage": answer.usage}
    return {**completion, "model": answer.model or body["model"], **usage}


def _chunks(answer: Answer, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    model = answer.model or body["model"]
    if answer.reasoning:
        yield chunk({"role": "assistant", **answer.reasoning}, model=model)
    for index, tool in enumerate(answer.tool_calls):
        yield chunk({"role": "assistant", "tool_calls": [{"index": index, **tool}]}, model=model)
    if not answer.tool_calls:
        for word in answer.text.split(" "):
            yield chunk({"role": "assistant", "content": word + " "}, model=model)
    yield chunk({}, "tool_calls" if answer.tool_calls else "stop", model=model)
    if answer.usage is not None:
        yield chunk(model=model, usage=answer.usage)
