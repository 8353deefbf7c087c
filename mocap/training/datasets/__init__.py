"""Data sets in their official layouts, as people in pictures (2D) and people in several views at once (3D)."""
