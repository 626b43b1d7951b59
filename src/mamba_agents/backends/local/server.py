"""llama.cpp's HTTP server inside this process: started once for the same options, stopped when the process ends."""

import atexit
import ctypes
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mamba_agents.backends.local.weights import check_weights, model_name
from mamba_agents.errors import ModelBackendError

if TYPE_CHECKING:
    from xllamacpp import CommonParams, Server

_SILENT: Final = -1

# Tokens computed between two looks at who still waits: an abandoned request or the end of the process is noticed after
# about a second. Larger batches were not faster on a CPU (measured November 2026).
_BATCH_TOKENS: Final = 128

# The server sleeps this long before it notices that it is told to stop; its default of 30 held up the process's end.
_PING_SECONDS: Final = 1

# Memory for conversations that lost their place to another; llama.cpp's default is 8 GiB.
_PROMPT_CACHE_MIB: Final = 512

# Small models repeat themselves without end at the temperatures that suit tools. Ollama's default too.
_REPEAT_PENALTY: Final = 1.1


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What makes two servers the same one."""

    path: Path
    context_window: int
    threads: int
    parallel: int


class LlamaServer:
    """One server, started on first use. Safe to share between threads, loops and forked processes."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._reset()

    def _reset(self) -> None:
        self.api_key = secrets.token_urlsafe(32)
        """What a request must carry; a forked process has another."""
        self._lock = threading.Lock()
        self._running: Server | None = None

    @property
    def address(self) -> str | None:
        """Where it listens, or None while it is not running."""
        running = self._running
        return running.listening_address if running else None

    def start(self) -> str:
        """Give the address, after loading the model if it is not loaded yet.

        Loading holds the interpreter's lock, so other threads wait too.
        """
        with self._lock:
            if self._running is None:
                self._running = _launch(self.options, self.api_key)
            return self._running.listening_address

    def stop(self) -> None:
        """Stop the server and free the model's memory; a further use starts it anew."""
        with self._lock:
            self._running = None  # the destructor waits for the server's threads

    def abandon(self) -> bool:
        """Forget a server whose threads stayed behind in the parent process; tell whether there was one."""
        running = self._running
        if running is not None:
            _keep(running)
        self._reset()
        return running is not None


_servers: dict[ServerOptions, LlamaServer] = {}
_servers_lock = threading.Lock()
_was_forked = False


def shared_server(options: ServerOptions) -> LlamaServer:
    """Give the one server of this process for these options, not started yet if it is new."""
    with _servers_lock:
        return _servers.setdefault(options, LlamaServer(options))


def _launch(options: ServerOptions, api_key: str) -> "Server":
    check_weights(options.path)
    try:
        from xllamacpp import CommonParams, Server  # noqa: PLC0415  (an extra, and 100 MB)
    except ImportError as error:
        raise ModelBackendError(
            f"The model {options.path} needs llama.cpp, which is not installed; "
            "run `pip install 'mamba-agents[local]'`.",
            cause=error,
            path=options.path,
        ) from error
    try:
        server = Server(_parameters(CommonParams(), options, api_key))
    except (RuntimeError, OverflowError) as error:  # the latter for numbers beyond a C int
        raise ModelBackendError(
            f"llama.cpp could not load the model {options.path}: {error} Expected a complete GGUF file of a kind this "
            "version of llama.cpp knows, and memory for it; download the file again, try a smaller context_window, or "
            "update xllamacpp.",
            cause=error,
            path=options.path,
        ) from error
    if _was_forked:
        _keep(server)
    return server


def _parameters(parameters: "CommonParams", options: ServerOptions, api_key: str) -> "CommonParams":
    parameters.model.path = str(options.path)
    parameters.model_alias = {model_name(options.path)}
    parameters.api_keys = [api_key]
    parameters.n_ctx = options.context_window * options.parallel
    parameters.n_parallel = options.parallel
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.threads
    parameters.n_batch = _BATCH_TOKENS
    parameters.sse_ping_interval = _PING_SECONDS
    parameters.cache_ram_mib = _PROMPT_CACHE_MIB
    parameters.sampling.penalty_repeat = _REPEAT_PENALTY
    parameters.verbosity = _SILENT
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.fit_params = False  # it would shrink the context window without a word
    parameters.warmup = False
    return parameters


def _stop_all() -> None:
    for server in _servers.values():
        server.stop()


def _after_fork() -> None:
    """Let a forked process start servers of its own. llama.cpp cannot clean up here: its threads did not come along."""
    global _servers_lock, _was_forked  # noqa: PLW0603
    _servers_lock = threading.Lock()
    left_behind = [server.abandon() for server in _servers.values()]
    if any(left_behind) and not _was_forked:
        _was_forked = True
        _skip_native_cleanup()


def _skip_native_cleanup() -> None:
    # llama.cpp's own exit handler would wait for ever for a thread of the parent. `on_exit` hands `_exit` the status,
    # and Python has flushed its files by then. Only glibc has it.
    library = ctypes.CDLL(None)
    if hasattr(library, "on_exit"):
        library.on_exit(library._exit, None)


def _keep(server: "Server") -> None:
    """Never free it: the destructor would wait for threads that do not exist in this process."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
