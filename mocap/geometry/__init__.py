"""Pure torch functions over leading batch axes."""
