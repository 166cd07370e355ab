"""The policy proof: reads the rendered text back with readers of its own and decides what it allows."""

from inventory.proof.following import End, connection
from inventory.proof.proving import Known, Proof, prove
from inventory.proof.recording import records

__all__ = ["End", "Known", "Proof", "connection", "prove", "records"]
