"""tinygrad_lite: reverse-mode automatic differentiation on NumPy and CuPy arrays."""

import numpy as _np
from numpy import dtype as dtype
from numpy import e, inf, nan, newaxis, pi

from tinygrad_lite import autograd, ops
from tinygrad_lite._first_use import at_first_use as _at_first_use
from tinygrad_lite._tensor import Size, Tensor
from tinygrad_lite.arrays import AbsentDtype as _AbsentDtype
from tinygrad_lite.arrays import Device as device
from tinygrad_lite.arrays import (
    get_default_device,
    get_default_dtype,
    get_num_threads,
    set_default_device,
    set_default_dtype,
    set_num_threads,
    tune,
)
from tinygrad_lite.arrays import tune_by_default as _tune_by_default
from tinygrad_lite.autograd import enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled
from tinygrad_lite.ops import *

bfloat16 = _AbsentDtype("bfloat16")
float16 = half = _np.dtype(_np.float16)
float32 = float = _np.dtype(_np.float32)
float64 = double = _np.dtype(_np.float64)
uint8 = _np.dtype(_np.uint8)
uint16 = _np.dtype(_np.uint16)
uint32 = _np.dtype(_np.uint32)
uint64 = _np.dtype(_np.uint64)
int8 = _np.dtype(_np.int8)
int16 = short = _np.dtype(_np.int16)
int32 = int = _np.dtype(_np.int32)
int64 = long = _np.dtype(_np.int64)
bool = _np.dtype(_np.bool_)

# Methods that PyTorch also has as functions.
abs_ = Tensor.abs_
acos_ = Tensor.acos_
acosh_ = Tensor.acosh_
arccos_ = Tensor.arccos_
arccosh_ = Tensor.arccosh_
arcsin_ = Tensor.arcsin_
arcsinh_ = Tensor.arcsinh_
arctan_ = Tensor.arctan_
arctanh_ = Tensor.arctanh_
asin_ = Tensor.asin_
asinh_ = Tensor.asinh_
atan_ = Tensor.atan_
atanh_ = Tensor.atanh_
ceil_ = Tensor.ceil_
clamp_ = Tensor.clamp_
clamp_max_ = Tensor.clamp_max_
clamp_min_ = Tensor.clamp_min_
clip_ = Tensor.clip_
cos_ = Tensor.cos_
cosh_ = Tensor.cosh_
deg2rad_ = Tensor.deg2rad_
detach_ = Tensor.detach_
erf_ = Tensor.erf_
erfc_ = Tensor.erfc_
exp_ = Tensor.exp_
exp2_ = Tensor.exp2_
expm1_ = Tensor.expm1_
fill_ = Tensor.fill_
fix_ = Tensor.fix_
floor_ = Tensor.floor_
frac_ = Tensor.frac_
gcd_ = Tensor.gcd_
i0_ = Tensor.i0_
index_put_ = Tensor.index_put_
lcm_ = Tensor.lcm_
ldexp_ = Tensor.ldexp_
log_ = Tensor.log_
log10_ = Tensor.log10_
log1p_ = Tensor.log1p_
log2_ = Tensor.log2_
logit_ = Tensor.logit_
nan_to_num_ = Tensor.nan_to_num_
neg_ = Tensor.neg_
negative_ = Tensor.negative_
rad2deg_ = Tensor.rad2deg_
reciprocal_ = Tensor.reciprocal_
resize_as_ = Tensor.resize_as_
round_ = Tensor.round_
rsqrt_ = Tensor.rsqrt_
sigmoid_ = Tensor.sigmoid_
sin_ = Tensor.sin_
sinc_ = Tensor.sinc_
sinh_ = Tensor.sinh_
sqrt_ = Tensor.sqrt_
square_ = Tensor.square_
tan_ = Tensor.tan_
tanh_ = Tensor.tanh_
trunc_ = Tensor.trunc_
xlogy_ = Tensor.xlogy_
zero_ = Tensor.zero_
detach = Tensor.detach

__version__ = "0.1.0"

_tune_by_default()

# Modules, and names from other modules, that are imported at first use: all together they would add 60 ms to
# `import tinygrad_lite`, half the time of `import numpy`.
_MODULES = (
    "accelerator", "amp", "backends", "compat", "compiler", "cuda", "datasets", "distributions", "files", "func", "jit", "linalg", "nn",
    "optim", "printing", "random", "serialization", "special", "study", "testing", "utils",
)  # fmt: skip
_NAMES = {
    "amp": ("GradScaler", "autocast"),
    "autograd.anomaly": ("is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_anomaly_enabled"),
    "autograd.table": ("tape_lines", "tape_of"),
    "compat.switches": (
        "are_deterministic_algorithms_enabled", "channels_last", "channels_last_3d", "contiguous_format",
        "get_float32_matmul_precision", "preserve_format", "set_default_tensor_type", "set_float32_matmul_precision",
        "strided", "use_deterministic_algorithms",
    ),
    "compiler.compiled": ("compile",),
    "func": ("vmap",),
    "ops.creation.windows": ("bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"),
    "ops.movement.grids": ("cartesian_prod", "combinations", "meshgrid"),
    "ops.nn.adaptive_pooling": ("adaptive_avg_pool1d", "adaptive_max_pool1d"),
    "ops.nn.convolution": ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    "ops.nn.distances": ("cdist", "cosine_similarity", "pairwise_distance", "pdist"),
    "ops.nn.dropout": (
        "alpha_dropout", "alpha_dropout_", "dropout", "dropout_", "feature_alpha_dropout", "feature_alpha_dropout_",
        "feature_dropout", "feature_dropout_",
    ),
    "ops.nn.embedding": ("embedding",),
    "ops.nn.folding": ("channel_shuffle", "pixel_shuffle", "pixel_unshuffle"),
    "ops.nn.linear": ("bilinear",),
    "ops.nn.losses.ctc": ("ctc_loss",),
    "ops.nn.losses.elementwise": ("binary_cross_entropy_with_logits", "kl_div", "poisson_nll_loss"),
    "ops.nn.losses.margin": ("cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "triplet_margin_loss"),
    "ops.nn.normalization": ("batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"),
    "ops.nn.padding": ("constant_pad_nd",),
    "ops.nn.pooling": ("avg_pool1d", "max_pool1d", "max_pool2d", "max_pool3d"),
    "ops.nn.smooth_activations": ("celu", "celu_", "selu", "selu_"),
    "printing": ("set_printoptions",),
    "serialization": ("load", "save"),
}  # fmt: skip
_HOME = {name: module for module, names in _NAMES.items() for name in names}

# What `import *` brings: every function, but not modules such as `utils`, of which a program may have its own.
__all__ = [name for name, value in globals().items() if not name.startswith("_") and not isinstance(value, type(_np))]
__all__ += ["autograd", "compat", "cuda", "files", "linalg", "printing", "random", "serialization", "special", *_HOME]


__getattr__, __dir__ = _at_first_use(__name__, _MODULES, _HOME)
