"""Tools to study training: progress, gradient noise, diagnosis, and test surfaces."""
