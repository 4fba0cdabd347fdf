"""Old names and switches of PyTorch that programs mention.

`jit`, `backends`, `cuda.amp`, `nn.parallel`, `types` and files that only name a class (`optim/adamw.py`,
`distributions/normal.py`) belong here too, but stand where programs import them from.
"""
