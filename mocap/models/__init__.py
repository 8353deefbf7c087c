"""Networks and detectors, and where their weights come from."""
