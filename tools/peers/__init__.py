"""Programs that run in .venv-peers (`python tools/bootstrap.py peers`), among other calibration tools and without ours.

They know nothing of this project: numbers come in .npz files, calibrations in the formats under test.
"""
