"""Layers, one file per family."""

from tinygrad_lite.nn.modules import (
    activation, attention, batchnorm, channelshuffle, container, conv, distance, dropout, flatten, fold, instancenorm, lazy,
    linear, linear_cross_entropy, loss, module, normalization, padding, pixelshuffle, pooling, rnn, sparse, transformer, upsampling,
)
from tinygrad_lite.nn.modules.activation import (
    CELU, ELU, GELU, GLU, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LeakyReLU, LogSigmoid, LogSoftmax, Mish, PReLU, RReLU, ReLU,
    ReLU6, SELU, SiLU, Sigmoid, Softmax, Softmax2d, Softmin, Softplus, Softshrink, Softsign, Tanh, Tanhshrink, Threshold,
)
from tinygrad_lite.nn.modules.attention import MultiheadAttention
from tinygrad_lite.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from tinygrad_lite.nn.modules.channelshuffle import ChannelShuffle
from tinygrad_lite.nn.modules.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from tinygrad_lite.nn.modules.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tinygrad_lite.nn.modules.distance import CosineSimilarity, PairwiseDistance
from tinygrad_lite.nn.modules.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from tinygrad_lite.nn.modules.flatten import Flatten, Unflatten
from tinygrad_lite.nn.modules.fold import Fold, Unfold
from tinygrad_lite.nn.modules.lazy import (
    LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d, LazyConv1d, LazyConv2d, LazyConv3d, LazyConvTranspose1d, LazyConvTranspose2d,
    LazyConvTranspose3d, LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d, LazyLinear,
)
from tinygrad_lite.nn.modules.linear import Bilinear, Identity, Linear
from tinygrad_lite.nn.modules.linear_cross_entropy import LinearCrossEntropyLoss, LinearCrossEntropyOptions
from tinygrad_lite.nn.modules.loss import (
    BCELoss, BCEWithLogitsLoss, CTCLoss, CosineEmbeddingLoss, CrossEntropyLoss, GaussianNLLLoss, HingeEmbeddingLoss, HuberLoss,
    KLDivLoss, L1Loss, MSELoss, MarginRankingLoss, MultiLabelMarginLoss, MultiLabelSoftMarginLoss, MultiMarginLoss, NLLLoss,
    PoissonNLLLoss, SmoothL1Loss, SoftMarginLoss, TripletMarginLoss, TripletMarginWithDistanceLoss,
)
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.normalization import GroupNorm, LayerNorm, LocalResponseNorm, RMSNorm
from tinygrad_lite.nn.modules.padding import (
    CircularPad1d, CircularPad2d, CircularPad3d, ConstantPad1d, ConstantPad2d, ConstantPad3d, ReflectionPad1d, ReflectionPad2d,
    ReflectionPad3d, ReplicationPad1d, ReplicationPad2d, ReplicationPad3d, ZeroPad1d, ZeroPad2d, ZeroPad3d,
)
from tinygrad_lite.nn.modules.pixelshuffle import PixelShuffle, PixelUnshuffle
from tinygrad_lite.nn.modules.pooling import (
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d, AvgPool1d,
    AvgPool2d, AvgPool3d, FractionalMaxPool2d, FractionalMaxPool3d, LPPool1d, LPPool2d, LPPool3d, MaxPool1d, MaxPool2d, MaxPool3d,
    MaxUnpool1d, MaxUnpool2d, MaxUnpool3d,
)
from tinygrad_lite.nn.modules.rnn import GRU, GRUCell, LSTM, LSTMCell, RNN, RNNBase, RNNCell, RNNCellBase
from tinygrad_lite.nn.modules.sparse import Embedding, EmbeddingBag
from tinygrad_lite.nn.modules.transformer import (
    Transformer, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
)
from tinygrad_lite.nn.modules.upsampling import Upsample, UpsamplingBilinear2d, UpsamplingNearest2d

FAMILIES = (
    activation, attention, batchnorm, channelshuffle, container, conv, distance, dropout, flatten, fold, lazy, linear,
    linear_cross_entropy, loss, module, normalization, padding, pixelshuffle, pooling, rnn, sparse, transformer, upsampling,
)  # fmt: skip

__all__ = [name for family in FAMILIES for name in family.__all__]
