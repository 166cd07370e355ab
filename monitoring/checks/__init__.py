"""Checks from outside: what hosts and neighbours see of the network, each subject a record."""
