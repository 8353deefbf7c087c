"""Worlds with a known truth: a moving body in a known rig, and what cameras would report of it."""
