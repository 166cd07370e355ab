"""The evidence log: what was observed, kept so that no later change to it goes unseen."""
