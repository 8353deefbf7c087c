"""Markerless multi-camera motion capture."""
