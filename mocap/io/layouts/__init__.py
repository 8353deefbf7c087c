"""How other programs, and people, lay out recordings: one module per layout, each from a folder to an `ImportPlan`."""
