"""Keypoint sets and skeletons as TOML package data."""
