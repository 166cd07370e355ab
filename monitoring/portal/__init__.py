"""The status as pages."""
