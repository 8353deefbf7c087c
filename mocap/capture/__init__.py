"""Cameras and recordings: sources of pictures, their readers, the recorder, guidance, and clocks put together."""
