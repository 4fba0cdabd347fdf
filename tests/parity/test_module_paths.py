"""The module paths that PyTorch programs import from: each name is there, and is the one that the package shows."""

from __future__ import annotations

import importlib
import operator
import subprocess
import sys

import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

PATHS = {
    "amp.autocast_mode": "autocast", "amp.grad_scaler": "GradScaler", "autograd.function": "Function once_differentiable",
    "autograd.functional": "jacobian hessian", "autograd.grad_mode": "no_grad enable_grad set_grad_enabled", "autograd.graph": "saved_tensors_hooks",
    "autograd.variable": "Variable", "cuda.amp.autocast_mode": "autocast", "cuda.amp.grad_scaler": "GradScaler",
    "distributions.bernoulli": "Bernoulli", "distributions.categorical": "Categorical", "distributions.distribution": "Distribution",
    "distributions.independent": "Independent", "distributions.kl": "kl_divergence", "distributions.mixture_same_family": "MixtureSameFamily",
    "distributions.multivariate_normal": "MultivariateNormal", "distributions.normal": "Normal", "distributions.uniform": "Uniform",
    "nn.common_types": "_size_1_t _size_2_t _size_3_t _size_4_t _size_any_t _size_2_opt_t _size_3_opt_t _size_any_opt_t _ratio_2_t _ratio_3_t _ratio_any_t",
    "nn.functional": "relu cross_entropy", "nn.init": "xavier_uniform_ _calculate_fan_in_and_fan_out", "nn.modules": "Module Linear",
    "nn.modules.activation": "ReLU MultiheadAttention", "nn.modules.batchnorm": "_BatchNorm BatchNorm2d", "nn.modules.container": "Sequential ModuleList",
    "nn.modules.conv": "_ConvNd Conv2d", "nn.modules.dropout": "_DropoutNd Dropout", "nn.modules.instancenorm": "_InstanceNorm InstanceNorm2d",
    "nn.modules.linear": "Linear Identity", "nn.modules.loss": "_Loss _WeightedLoss CrossEntropyLoss", "nn.modules.module": "Module",
    "nn.modules.normalization": "LayerNorm GroupNorm", "nn.modules.padding": "ZeroPad2d", "nn.modules.pooling": "MaxPool2d", "nn.modules.rnn": "LSTM RNNBase",
    "nn.modules.sparse": "Embedding", "nn.modules.transformer": "TransformerEncoderLayer", "nn.modules.upsampling": "Upsample",
    "nn.modules.utils": "_single _pair _triple _quadruple _ntuple _reverse_repeat_tuple", "nn.parallel": "DataParallel",
    "nn.parameter": "Parameter Buffer UninitializedParameter", "nn.utils.clip_grad": "clip_grad_norm_ clip_grad_value_",
    "nn.utils.convert_parameters": "parameters_to_vector", "nn.utils.fusion": "fuse_conv_bn_eval", "nn.utils.parametrizations": "weight_norm spectral_norm",
    "nn.utils.parametrize": "register_parametrization", "nn.utils.rnn": "PackedSequence pack_padded_sequence pad_sequence", "nn.utils.stateless": "functional_call",
    "optim.adadelta": "Adadelta", "optim.adagrad": "Adagrad", "optim.adam": "Adam", "optim.adamax": "Adamax", "optim.adamw": "AdamW", "optim.asgd": "ASGD",
    "optim.lbfgs": "LBFGS", "optim.lr_scheduler": "_LRScheduler LRScheduler StepLR ReduceLROnPlateau", "optim.nadam": "NAdam",
    "optim.optimizer": "Optimizer required", "optim.radam": "RAdam", "optim.rmsprop": "RMSprop", "optim.rprop": "Rprop", "optim.sgd": "SGD",
    "optim.swa_utils": "AveragedModel SWALR update_bn", "types": "Device Number Size Tensor _bool _complex _device _dtype _float _int _size",
    "utils.checkpoint": "checkpoint checkpoint_sequential", "utils.data._utils.collate": "default_collate default_convert",
    "utils.data.dataloader": "DataLoader default_collate", "utils.data.dataset": "Dataset TensorDataset Subset random_split",
    "utils.data.sampler": "Sampler RandomSampler SequentialSampler SubsetRandomSampler BatchSampler", "utils.hooks": "RemovableHandle",
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_it_is_a_module_with_the_names_of_pytorch(path):
    theirs, ours = (importlib.import_module(f"{library.__name__}.{path}") for library in (torch, tg))
    shown = importlib.import_module(f"tinygrad_lite.{path.rpartition('.')[0]}".rstrip("."))
    for name in PATHS[path].split():
        assert hasattr(theirs, name) and hasattr(ours, name), name
        if isinstance(getattr(ours, name), type):
            assert getattr(ours, name) is getattr(shown, name, getattr(ours, name)), name


def test_they_are_found_without_importing_them():
    paths = [path for path in PATHS if path.startswith(("distributions.", "nn.modules."))]
    # In a new process, as tests before this one may have imported some.
    code = f"import tinygrad_lite, operator\nfor path in {paths}: operator.attrgetter(path)(tinygrad_lite)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert all(operator.attrgetter(path)(torch) for path in paths)


@pytest.mark.parametrize("t, n", [((1, 2), 2), ((3,), 1), ((0, 1, 2), 3), ((), 2)])
def test_padding_from_one_size_a_dim(t, n):
    theirs, ours = (importlib.import_module(f"{library.__name__}.nn.modules.utils") for library in (torch, tg))
    assert ours._reverse_repeat_tuple(t, n) == theirs._reverse_repeat_tuple(t, n)
