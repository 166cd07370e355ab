"""Keeps databases restorable: the policy of the plan, the engine that copies, the audit of copies, and drills that prove them."""
