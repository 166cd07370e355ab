"""Plans that stand only here: other regions than the shipped pilot's, written as a third person would."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
CHONGQING = FOLDER / "chongqing"
HUBEI = FOLDER / "hubei"
PINNED = FOLDER / "pinned"
