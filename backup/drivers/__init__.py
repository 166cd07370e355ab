"""Backup engines, one file each: what the engine says, read with distrust, and the lines that make it work."""
