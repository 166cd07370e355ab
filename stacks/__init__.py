"""Machines and wires: what must exist before SSH works."""
