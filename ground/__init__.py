"""What two rooms need: one noun a file."""
