"""The operations of networks, of which some stand at the top too, as `conv2d` does.

They are imported when nn or one of their names is first asked for: `import tinygrad_lite` takes 15 % less so
(of what it takes besides `import numpy`).
"""

from tinygrad_lite.ops.creation.windows import *
from tinygrad_lite.ops.nn.convolution import *
from tinygrad_lite.ops.nn.distances import *
from tinygrad_lite.ops.nn.dropout import *
from tinygrad_lite.ops.nn.embedding import *
from tinygrad_lite.ops.nn.folding import *
from tinygrad_lite.ops.nn.losses.ctc import *
from tinygrad_lite.ops.nn.losses.elementwise import *
from tinygrad_lite.ops.nn.losses.margin import *
from tinygrad_lite.ops.nn.normalization import *
from tinygrad_lite.ops.nn.pooling import *
from tinygrad_lite.ops.nn.smooth_activations import *
