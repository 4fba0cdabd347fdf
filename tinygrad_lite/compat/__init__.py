"""Old names and switches of PyTorch that programs mention.

`jit`, `backends`, `cuda.amp` and `nn.parallel` belong here too, but stand where programs import them from.
"""
