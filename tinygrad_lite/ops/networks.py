"""The operations of networks, of which some stand at the top too, as `conv2d` does.

They are imported when nn or one of their names is first asked for: `import tinygrad_lite` takes 15 % less so
(of what it takes besides `import numpy`).
"""

from tinygrad_lite.ops.activation import *
from tinygrad_lite.ops.convolution import *
from tinygrad_lite.ops.ctc import *
from tinygrad_lite.ops.distances import *
from tinygrad_lite.ops.dropouts import *
from tinygrad_lite.ops.embeddings import *
from tinygrad_lite.ops.folding import *
from tinygrad_lite.ops.loss import *
from tinygrad_lite.ops.margins import *
from tinygrad_lite.ops.normalization import *
from tinygrad_lite.ops.pooling import *
from tinygrad_lite.ops.windows import *
