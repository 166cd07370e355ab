"""The policy pack: what a graph of resources may not look like, with the clause that says so."""

from pathlib import Path

PACK = str(Path(__file__).parent)
"""Its folder, as the engine takes it."""
PROGRAMS = str(Path(__file__).parent / "bin")
"""With the program by which the engine starts a pack that is written in Python."""
