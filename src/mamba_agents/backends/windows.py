"""How many tokens a model takes, found where it is known best."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel

from mamba_agents._internal.models import bare_model, base_url
from mamba_agents.backends.http_client import ClientPerLoop
from mamba_agents.backends.price_table import is_hosted, longest_prompt, table_window
from mamba_agents.backends.server_windows import Server, Window, ask_window

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_UNKNOWN_SECONDS: Final = 60.0
"""A server that told nothing is asked again after so long: it may have been started since."""

_PROVISIONAL_SECONDS: Final = 5.0
"""A model that was not loaded mostly is after its first request."""

_LISTS_NO_WINDOW: Final = ("https://api.openai.com", "https://api.anthropic.com")


async def context_window(
    model: Model, *, configured: int | None = None, timeout_seconds: float = 2.0, refresh: bool = False
) -> Window | None:
    """The model's window, from the first of these that knows it; None where none does. Never raises.

    1. `configured`, what the settings say.
    2. The model's profile, where somebody put a number there.
    3. The price table, for models of the services it knows by their address.
    4. The model's own server, asked as `discover_window` says.
    5. The price table's row for a model of that name. It describes another deployment, so the server comes first.

    Of a `FallbackModel` it is the smallest of its members' windows that are known: any of them may be asked.
    """
    if configured is not None:
        return Window(tokens=configured, source="the settings")
    own = bare_model(model)
    if isinstance(own, FallbackModel):
        ask = partial(context_window, timeout_seconds=timeout_seconds, refresh=refresh)
        return await _smallest(own.models, ask)
    stated, row = _quietly(lambda: model.context_window), _quietly(lambda: table_window(own))
    if stated is not None and stated != row:
        return Window(tokens=stated, source="the model's profile")
    url = base_url(own)
    listed = None if row is None else longest_prompt(row, own.model_name)
    if listed is not None and (url is None or is_hosted(url)):
        return Window(tokens=listed, source="the price table")
    found = await discover_window(model, timeout_seconds=timeout_seconds, refresh=refresh)
    if found is None and listed is not None:
        return Window(tokens=listed, source=f"the price table's row for another server's {own.model_name}")
    return found


async def find_window(model: Model, *, refresh: bool = False) -> int | None:
    """The tokens of `context_window`, in the form that `CompactContext` and `ContextManager` take."""
    window = await context_window(model, refresh=refresh)
    return None if window is None else window.tokens


async def discover_window(model: Model, *, timeout_seconds: float = 2.0, refresh: bool = False) -> Window | None:
    """The window that the model's own server tells, asked with the model's address, key and headers. Never raises.

    None where it tells none, within the timeout, or there is no server to ask. An answer is kept until `forget_windows`
    or until it is asked for with `refresh`; that there was none, for a minute; that of a model not loaded yet, for
    seconds. Servers next door are asked for whatever page may tell it, services elsewhere for their list of models.
    The embedded model's server is started for it.
    """
    own = bare_model(model)
    if isinstance(own, FallbackModel):
        ask = partial(discover_window, timeout_seconds=timeout_seconds, refresh=refresh)
        return await _smallest(own.models, ask)
    try:
        server = await _server(own)
    except Exception:  # noqa: BLE001 - a server that cannot be reached tells nothing
        return None
    if server is None:
        return None
    key = (str(server.client.base_url), server.model)
    return await _asked_once(key, lambda: _never_raising(server, timeout_seconds), refresh=refresh)


def forget_windows() -> None:
    """Ask every server anew from now on."""
    _answers.clear()


type _Key = tuple[str, str]


@dataclass(frozen=True)
class _Answer:
    window: Window | None
    until: float


_answers: dict[_Key, _Answer] = {}
_asking: dict[tuple[object, _Key], anyio.Event] = {}
"""By event loop: what one waits for cannot be waited for in another."""


async def _asked_once(key: _Key, ask: Callable[[], Awaitable[Window | None]], *, refresh: bool) -> Window | None:
    turn = (anyio.lowlevel.current_token(), key)
    while (others := _asking.get(turn)) is not None:
        await others.wait()
        refresh = False  # asked just now
    known = _answers.get(key)
    if known is not None and not refresh and time.monotonic() < known.until:
        return known.window
    done = _asking[turn] = anyio.Event()
    try:
        window = await ask()
    finally:
        del _asking[turn]
        done.set()
    until = time.monotonic() + _lifetime(window)
    if (window is None or window.is_provisional) and known is not None and known.window is not None:
        window = known.window  # a server or model that is away for a while mostly comes back the same
    _answers[key] = _Answer(window, until)
    return window


def _lifetime(window: Window | None) -> float:
    if window is None:
        return _UNKNOWN_SECONDS
    return _PROVISIONAL_SECONDS if window.is_provisional else float("inf")


async def _never_raising(server: Server, timeout_seconds: float) -> Window | None:
    try:
        return await ask_window(server, timeout_seconds)
    except Exception:  # noqa: BLE001 - whatever went wrong, it told nothing
        return None


async def _server(model: Model) -> Server | None:
    """The server of a model, as far as it may be asked."""
    client = await _client(model)
    if client is None:
        return None
    url = str(client.base_url)
    hosted = is_hosted(url)
    if url.startswith(_LISTS_NO_WINDOW) or (hosted and ".azure." in url):
        return None
    return Server(client=client, kind=model.system, model=model.model_name, is_hosted=hosted)


async def _client(model: Model) -> "AsyncOpenAI | None":
    # Importing this package must not load the SDK.
    from openai import AsyncOpenAI  # noqa: PLC0415

    from mamba_agents.backends.openai_compatible import ServerModel  # noqa: PLC0415

    if isinstance(model, ServerModel):
        await model.connect()
    client = model.provider.client if model.provider else None
    if isinstance(client, AsyncOpenAI):
        return client
    url = base_url(model)
    if url is None or is_hosted(url):
        return None
    # Another protocol's client on a server of one's own, such as Anthropic's on Ollama: its key stays where it is.
    root = url.rstrip("/").removesuffix("/v1")
    return AsyncOpenAI(base_url=f"{root}/v1", api_key="none", http_client=ClientPerLoop())


async def _smallest(models: Sequence[Model], ask: Callable[[Model], Awaitable[Window | None]]) -> Window | None:
    """The smallest window among those of the models that are known, all asked at once."""
    found: list[Window] = []

    async def one(model: Model) -> None:
        if window := await ask(model):
            found.append(window)

    async with anyio.create_task_group() as tasks:
        for model in models:
            tasks.start_soon(one, model)
    return min(found, key=lambda window: window.tokens, default=None)


def _quietly(ask: Callable[[], int | None]) -> int | None:
    try:
        return ask()
    except Exception:  # noqa: BLE001 - a provider whose client is not there yet raises; nothing is known then
        return None
