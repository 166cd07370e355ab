"""Applies the rendered tree of every device over SSH; orchestrates the wings."""
