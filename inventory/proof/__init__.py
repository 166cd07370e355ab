"""The policy proof: reads the rendered text back with readers of its own and decides what it allows."""

from inventory.proof.proving import Known, Proof, connection, prove, records

__all__ = ["Known", "Proof", "connection", "prove", "records"]
