"""Pure functions on time series, numpy."""
