"""The plan and the Network it compiles to."""
