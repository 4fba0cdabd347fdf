"""Network operations, some of which are also available at the top level, such as `conv2d`.

They are imported when nn or one of these names is first used, which saves 15 % of `import tinygrad_lite` (without
`import numpy`).
"""

from tinygrad_lite.ops.creation.windows import bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window
from tinygrad_lite.ops.nn.adaptive_pooling import adaptive_avg_pool1d, adaptive_max_pool1d
from tinygrad_lite.ops.nn.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from tinygrad_lite.ops.nn.distances import cdist, cosine_similarity, pairwise_distance, pdist
from tinygrad_lite.ops.nn.dropout import (
    alpha_dropout, alpha_dropout_, dropout, dropout_, feature_alpha_dropout, feature_alpha_dropout_, feature_dropout, feature_dropout_,
)
from tinygrad_lite.ops.nn.embedding import embedding
from tinygrad_lite.ops.nn.folding import channel_shuffle, pixel_shuffle, pixel_unshuffle
from tinygrad_lite.ops.nn.losses.ctc import ctc_loss
from tinygrad_lite.ops.nn.losses.elementwise import binary_cross_entropy_with_logits, kl_div, poisson_nll_loss
from tinygrad_lite.ops.nn.losses.margin import cosine_embedding_loss, hinge_embedding_loss, margin_ranking_loss, triplet_margin_loss
from tinygrad_lite.ops.nn.normalization import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from tinygrad_lite.ops.nn.pooling import avg_pool1d, max_pool1d, max_pool2d, max_pool3d
from tinygrad_lite.ops.nn.smooth_activations import celu, celu_, selu, selu_
