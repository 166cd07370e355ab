"""Time and memory of what the project promises, beside programs that do the same work: `./run bench`."""
