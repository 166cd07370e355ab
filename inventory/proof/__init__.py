"""The policy proof: reads the rendered text back with readers of its own and decides what it allows."""
