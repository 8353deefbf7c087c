"""Verbs: each module one frozen Config, one function, one Report."""
