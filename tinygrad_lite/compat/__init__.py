"""PyTorch's old names and switches that programs use.

`jit`, `backends`, `cuda.amp` and `nn.parallel` also belong here, but live where programs import them from.
"""
