"""The recorded transcripts: agents that really ran, kept as JSON beside this module.

The embedded model had two of the conversations. In the others a script chose the calls, and an agent ran the tools on
real files and databases; the source files of `code` were those of this project.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter

from benchmarks.transcripts.embedded import TOPICS, conversation
from benchmarks.transcripts.generated import SCENES, Transcript
from benchmarks.transcripts.play import recorded
from mamba_agents.backends import create_local_backend

FOLDER = Path(__file__).parent
SOURCES = FOLDER.parents[1] / "src" / "mamba_agents"

DROPPED = {
    "timestamp", "run_id", "conversation_id", "usage", "finish_reason", "provider_url", "provider_details",
    "provider_response_id",
}  # fmt: skip

SIZES = {
    "support": 14, "audit": 40, "incident": 8, "facts": 40, "code": 10, "data": 10,
    "travel": 22, "travel-chinese": 22,
}  # fmt: skip


def recordings() -> Iterator[Transcript]:
    """All that is recorded."""
    for path in sorted(FOLDER.glob("*.json")):
        yield Transcript(name=path.stem, messages=ModelMessagesTypeAdapter.validate_json(path.read_bytes()))


async def record_scripts() -> None:
    """Run the scripts anew."""
    for name, size in SIZES.items():
        with TemporaryDirectory() as folder:
            if name == "code":
                shutil.copytree(SOURCES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            _keep(name, await recorded(SCENES[name][0](Random(f"recorded {name}"), size, Path(folder))))


async def record_conversations() -> None:
    """Have the embedded model talk anew, which takes some minutes."""
    model = create_local_backend(constrained_tools=True)
    for name, topic in TOPICS.items():
        _keep(name, await conversation(topic, model))


def _keep(name: str, messages: list[ModelMessage]) -> None:
    """One message a line, without what differs from run to run."""
    dumped = ModelMessagesTypeAdapter.dump_python(messages, mode="json")
    lines = ",\n".join(json.dumps(_without(message), ensure_ascii=False) for message in dumped)
    (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _without(message: dict[str, object]) -> dict[str, object]:
    """A message or a part without what is empty and what differs."""
    kept = {key: value for key, value in message.items() if value is not None and key not in DROPPED}
    if isinstance(parts := kept.get("parts"), list):
        kept["parts"] = [_without(part) for part in parts]
    return kept
