"""Calibration of a session: clips of a board in, a rig and a report out."""
