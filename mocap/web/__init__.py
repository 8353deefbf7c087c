"""The recorder as a page in the browser: previews, recording, calibration and processing of one session."""
