"""Learning rates as functions of time. Programs find them in `optim.lr_scheduler` and `optim.swa_utils`."""
