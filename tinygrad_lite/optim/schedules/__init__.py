"""Learning rate schedules. Programs import them from `optim.lr_scheduler` and `optim.swa_utils`."""
