"""The hot loops, a file a kernel: what makes an operation fast, called by name from its rules."""
