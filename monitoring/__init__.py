"""Looks at the running network from outside, keeps what it saw, and says how far the rollout has come."""
