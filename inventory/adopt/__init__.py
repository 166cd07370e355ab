"""Adoption: what somebody changed on a device by hand, as an edit of the plan that somebody can fill in and stand for."""
