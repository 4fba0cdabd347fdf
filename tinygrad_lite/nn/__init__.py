"""Neural networks: `Module`, layers, losses and initialization, under PyTorch's names."""

from tinygrad_lite.nn import functional, init, modules, parallel, parameter, utils
from tinygrad_lite.nn._summary import summary
from tinygrad_lite.nn.modules.activation import *
from tinygrad_lite.nn.modules.attention import *
from tinygrad_lite.nn.modules.batchnorm import *
from tinygrad_lite.nn.modules.channelshuffle import *
from tinygrad_lite.nn.modules.container import *
from tinygrad_lite.nn.modules.conv import *
from tinygrad_lite.nn.modules.distance import *
from tinygrad_lite.nn.modules.dropout import *
from tinygrad_lite.nn.modules.flatten import *
from tinygrad_lite.nn.modules.fold import *
from tinygrad_lite.nn.modules.lazy import *
from tinygrad_lite.nn.modules.linear import *
from tinygrad_lite.nn.modules.linear_cross_entropy import *
from tinygrad_lite.nn.modules.loss import *
from tinygrad_lite.nn.modules.module import *
from tinygrad_lite.nn.modules.normalization import *
from tinygrad_lite.nn.modules.padding import *
from tinygrad_lite.nn.modules.pixelshuffle import *
from tinygrad_lite.nn.modules.pooling import *
from tinygrad_lite.nn.modules.rnn import *
from tinygrad_lite.nn.modules.sparse import *
from tinygrad_lite.nn.modules.transformer import *
from tinygrad_lite.nn.modules.upsampling import *
from tinygrad_lite.nn.parallel import DataParallel
from tinygrad_lite.nn.parameter import Buffer, Parameter, UninitializedParameter
