"""The optimizers: each file states the equations of one family."""
