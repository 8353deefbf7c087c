"""Training: what is trained is a `Task`, how is the loop's; a run folder tells afterwards what was done."""
