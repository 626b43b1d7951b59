"""Where the documents are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FRONT_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md")]
GUIDES = sorted((ROOT / "docs").rglob("*.md"))
