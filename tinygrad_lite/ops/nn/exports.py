"""Network operations, some of which are also available at the top level, such as `conv2d`.

They are imported when nn or one of these names is first used, which saves 15 % of `import tinygrad_lite` (without
`import numpy`).
"""

