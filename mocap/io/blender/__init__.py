"""What runs inside Blender: not imported by the package, but written beside what it shows."""
