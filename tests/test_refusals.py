"""What is refused, in whole sentences: the public function that was called, what it expected and what came, in one traceback."""

from __future__ import annotations

import ast
import copy
import pickle
import traceback
from pathlib import Path

import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue, Refusal
from tinygrad_lite.linalg import LinAlgError
from tinygrad_lite.nn import functional as F

PACKAGE = Path(tg.__file__).parent

x = tg.ones(4, 3)


def tensor_of(*values):
    return tg.tensor(list(values))


# The call, the class of the error, its sentence, and the function in which the traceback ends, where that is not the one
# named in the sentence (or, of a module, its forward).
REFUSED = [
    (lambda: x + tg.ones(5), BadValue, "add: operands could not be broadcast together with shapes (4,3) (5,) (input: (4, 3) float32, other: (5,) float32)"),
    (lambda: x * tg.ones(2, 3), BadValue, "mul: operands could not be broadcast together with shapes (4,3) (2,3) (input: (4, 3) float32, other: (2, 3) float32)"),
    (lambda: tg.where(x > 0, tg.ones(5), x), BadValue, "where: operands could not be broadcast together with shapes (4,3) (5,) (4,3) (condition: (4, 3) bool, input: (5,) float32, other: (4, 3) float32)"),
    (lambda: tg.maximum(x, tg.ones(2)), BadValue, "maximum: operands could not be broadcast together with shapes (4,3) (2,) (input: (4, 3) float32, other: (2,) float32)", "apply"),
    (lambda: x < tg.ones(2), BadValue, "lt: operands could not be broadcast together with shapes (4,3) (2,) (input: (4, 3) float32, other: (2,) float32)", "forward"),
    (lambda: x.clone().add_(tg.ones(5)), BadValue, "add_: operands could not be broadcast together with shapes (4,3) (5,) (input: (4, 3) float32, other: (5,) float32)", "add"),
    (lambda: x.clone().__setitem__(0, tg.ones(5)), BadValue, "setitem: could not broadcast input array from shape (5,) into shape (3,)", "write"),
    (lambda: x[4], BadIndex, "getitem: index 4 is out of bounds for axis 0 with size 4 (input: (4, 3) float32, index: (4, Ellipsis))", "read"),
    (lambda: x["a"], BadType, "getitem: expected ints, slices, None, integer or bool tensors, got str", "checked_item"),
    (lambda: x @ tg.ones(5, 2), BadValue, "matmul: inner sizes differ: (4, 3) @ (5, 2)"),
    (lambda: x @ tg.ones(3, 2, dtype=tg.int64), BadType, "matmul: both operands must have the same dtype, got float32 and int64"),
    (lambda: tg.ones(2, 3, 4) @ tg.ones(3, 4, 5), BadValue, "matmul: leading dims do not broadcast: (2, 3, 4) @ (3, 4, 5)"),
    (lambda: tg.mm(x, tg.ones(4, 3)), BadValue, "mm: inner sizes differ: (4, 3) @ (4, 3)"),
    (lambda: tg.bmm(tg.ones(2, 3, 4), tg.ones(3, 4, 5)), BadValue, "bmm: batch sizes differ: (2, 3, 4) and (3, 4, 5)"),
    (lambda: tg.dot(tg.ones(3), tg.ones(4)), BadValue, "dot: inner sizes differ: (3,) @ (4,)"),
    (lambda: tg.addmm(tg.ones(5), x, tg.ones(3, 2)), BadValue, "addmm: operands could not be broadcast together with shapes (4,2) (5,) (input: (5,) float32, mat1: (4, 3) float32, mat2: (3, 2) float32)"),
    (lambda: tg.addmm(tg.ones(2), x, tg.ones(4, 2)), BadValue, "addmm: inner sizes differ: (4, 3) @ (4, 2)"),
    (lambda: tg.outer(x, x), BadValue, "outer: expected input of 1 dims, got shape (4, 3)"),
    (lambda: tg.einsum("ij,jk->ik", x, x), BadValue, "einsum: dim 'j' has the sizes 3 and 4 in 'ij,jk->ik' of shapes (4, 3), (4, 3)"),
    (lambda: tg.einsum("ij,jk->iz", x, x.mT), BadValue, "einsum: 'z' of the result appears in no operand: 'ij,jk->iz'"),
    (lambda: tg.einsum("ijk->i", x), BadValue, "einsum: operand 0 of shape (4, 3) does not have the dims 'ijk' in 'ijk->i'"),
    (lambda: tg.cat([x, tg.ones(4, 2)]), Refusal, "cat: sizes must agree except at dim 0: tensor 0 has (4, 3), tensor 1 has (4, 2)"),
    (lambda: tg.stack([x, tg.ones(4, 2)]), Refusal, "stack: expected tensors of one shape: tensor 0 has (4, 3), tensor 1 has (4, 2)"),
    (lambda: tg.stack([]), BadValue, "stack: expected one or more Tensors, got none"),
    (lambda: x.split([1, 1]), Refusal, "split: the sizes (1, 1) do not add up to the 4 of dim 0"),
    (lambda: x.reshape(5, 2), BadValue, "reshape: cannot reshape array of size 12 into shape (5,2) (input: (4, 3) float32, shape: (5, 2))"),
    (lambda: x.view(5, 2), BadValue, "view: cannot reshape array of size 12 into shape (5,2) (input: (4, 3) float32, shape: (5, 2))", "reshape"),
    (lambda: x.permute(0, 0), Refusal, "permute: expected each of the 2 dims once, got (0, 0)"),
    (lambda: x.transpose(0, 2), BadIndex, "transpose: dim 2 is out of range; a tensor of 2 dimensions takes -2 to 1"),
    (lambda: x.squeeze(5), BadIndex, "squeeze: dim 5 is out of range; a tensor of 2 dimensions takes -2 to 1"),
    (lambda: x.unsqueeze(5), BadIndex, "unsqueeze: dim 5 is out of range; a tensor of 3 dimensions takes -3 to 2"),
    (lambda: x.expand(4, 4), Refusal, "expand: a tensor of shape (4, 3) cannot be repeated to the shape (4, 4)"),
    (lambda: x.sum(2), BadIndex, "sum: dim 2 is out of range; a tensor of 2 dimensions takes -2 to 1"),
    (lambda: x.sum("rows"), BadType, "sum: expected an int for dim, got str"),
    (lambda: x.long().mean(), BadType, "mean: expected a floating-point tensor, got int64"),
    (lambda: x.softmax(5), BadIndex, "softmax: dim 5 is out of range; a tensor of 2 dimensions takes -2 to 1"),
    (lambda: tg.ones(0).max(), BadIndex, "max: nothing to choose from: size 0 over all dims (input: (0,) float32)"),
    (lambda: x.argmax(3), BadIndex, "argmax: dim 3 is out of range; a tensor of 2 dimensions takes -2 to 1"),
    (lambda: x.topk(7), BadValue, "topk: cannot take 7 elements along dim -1 of a tensor of shape (4, 3)"),
    (lambda: x.gather(1, tg.tensor([[7]])), BadIndex, "gather: index 7 is out of range for 3 elements"),
    (lambda: x.gather(1, tg.ones(1, 1)), BadIndex, "gather: expected an integer tensor (int64) as index, got float32"),
    (lambda: x.index_select(0, tensor_of(9)), BadIndex, "index_select: index 9 is out of range for 4 elements"),
    (lambda: x.scatter(1, tg.tensor([[9]]), 1.0), BadIndex, "scatter: index 9 is out of range for 3 elements"),
    (lambda: x.masked_fill(x, 0.0), BadType, "masked_fill: expected a bool mask, got float32"),
    (lambda: x.masked_fill(tg.ones(5).bool(), 0.0), BadValue, "masked_fill: operands could not be broadcast together with shapes (5,) () (4,3) (input: (4, 3) float32, mask: (5,) bool, value: 0.0)"),
    (lambda: x & 1, BadType, "bitwise_and: expected a tensor of integers or bools, got float32", "forward"),
    (lambda: F.linear(tg.ones(3, 5), tg.ones(2, 4)), BadValue, "linear: expected input of shape (*, 4), got (3, 5)"),
    (lambda: nn.Linear(4, 2)(tg.ones(3, 5)), BadValue, "Linear: expected input of shape (*, 4), got (3, 5)", "linear"),
    (lambda: nn.Linear(4, 2)(tg.ones(3, 4).long()), BadType, "Linear: both operands must have the same dtype, got int64 and float32", "linear"),
    (lambda: nn.Linear(4, 2)(tg.ones(3, 4, dtype=tg.float64)), BadType, "Linear: both operands must have the same dtype, got float64 and float32", "linear"),
    (lambda: F.linear(tg.ones(3, 4), tg.ones(2, 4), tg.ones(3)), BadValue, "linear: expected a bias of shape (2,), got (3,)"),
    (lambda: nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(3, 2))(tg.ones(3, 4)), BadValue, "Linear: expected input of shape (*, 3), got (3, 2)", "linear"),
    (lambda: F.bilinear(x, tg.ones(4, 2), tg.ones(5, 3, 3)), BadValue, "bilinear: expected shapes (..., in1), (..., in2) and (out, in1, in2), got (4, 3), (4, 2), (5, 3, 3)"),
    (lambda: nn.Bilinear(3, 2, 5)(x, x), BadValue, "bilinear: expected shapes (..., in1), (..., in2) and (out, in1, in2), got (4, 3), (4, 3), (5, 3, 2)"),
    (lambda: nn.Conv2d(3, 4, 3)(tg.ones(8, 1, 28, 28)), BadValue, "Conv2d: expected 3 input channels, got 1 (input (8, 1, 28, 28))"),
    (lambda: F.conv2d(tg.ones(8, 1, 28, 28), tg.ones(4, 3, 3, 3)), BadValue, "conv2d: expected 3 input channels, got 1 (input (8, 1, 28, 28), weight (4, 3, 3, 3))"),
    (lambda: F.conv2d(tg.ones(28, 28), tg.ones(4, 3, 3, 3)), BadValue, "conv2d: expected an input of 4 dims (or 3, without a batch), got (28, 28)"),
    (lambda: F.conv2d(tg.ones(1, 3, 2, 2), tg.ones(4, 3, 3, 3)), BadValue, "conv2d: the result would be empty: the padded input (2, 2) is smaller than the kernel (3, 3)"),
    (lambda: F.conv2d(tg.ones(1, 3, 4, 4), tg.ones(4, 3, 3, 3), stride=0), BadValue, "conv2d: expected stride of at least 1, got 0"),
    (lambda: F.conv_transpose2d(tg.ones(8, 1, 5, 5), tg.ones(3, 4, 3, 3)), BadValue, "conv_transpose2d: expected 3 input channels, got 1 (input (8, 1, 5, 5), weight (3, 4, 3, 3))"),
    (lambda: F.max_pool2d(tg.ones(1, 1, 2, 2), 3), BadValue, "max_pool2d: the result would be empty: the padded input (2, 2) is smaller than the kernel (3, 3)"),
    (lambda: F.max_pool2d(tg.ones(1, 1, 2, 2), "a"), BadType, "max_pool2d: expected an int or 2 of them for kernel_size, got 'a'"),
    (lambda: nn.MaxPool2d(3)(tg.ones(1, 1, 2, 2)), BadValue, "max_pool2d: the result would be empty: the padded input (2, 2) is smaller than the kernel (3, 3)"),
    (lambda: F.embedding(tg.ones(3), x), BadIndex, "embedding: expected an integer tensor (int64) as index, got float32"),
    (lambda: F.embedding(tensor_of(9), x), BadIndex, "embedding: index 9 is out of range for 4 elements"),
    (lambda: nn.Embedding(5, 2)(tensor_of(5)), BadIndex, "embedding: index 5 is out of range for 5 elements"),
    (lambda: F.one_hot(tensor_of(5), 3), BadValue, "one_hot: elements from 5 to 5 do not fit 3 classes"),
    (lambda: F.mse_loss(x, tg.ones(5, 3)), Refusal, "mse_loss: the shapes (4, 3) and (5, 3) do not broadcast"),
    (lambda: F.mse_loss(x, x, reduction="avg"), BadValue, "mse_loss: expected reduction 'none', 'mean' or 'sum', got 'avg'"),
    (lambda: F.binary_cross_entropy(x, tg.ones(4)), BadValue, "binary_cross_entropy: expected a target of the input's shape (4, 3), got (4,)"),
    (lambda: F.binary_cross_entropy(x * 2, x), BadValue, "binary_cross_entropy: expected every element of the input between 0 and 1 (input: (4, 3) float32, target: (4, 3) float32)"),
    (lambda: F.binary_cross_entropy_with_logits(x, tg.ones(4)), BadValue, "binary_cross_entropy_with_logits: expected a target of the input's shape (4, 3), got (4,)"),
    (lambda: F.kl_div(x, tg.ones(5)), BadValue, "kl_div: operands could not be broadcast together with shapes (5,) (4,3) (input: (4, 3) float32, target: (5,) float32)"),
    (lambda: F.smooth_l1_loss(x, tg.ones(5)), Refusal, "smooth_l1_loss: the shapes (4, 3) and (5,) do not broadcast"),
    (lambda: F.cross_entropy(x, tensor_of(0, 1)), BadValue, "cross_entropy: expected a target of shape (4,) for an input of shape (4, 3), got (2,)"),
    (lambda: F.cross_entropy(x, tensor_of(0, 1, 2, 3)), BadIndex, "cross_entropy: class 3 is out of range: 3 classes go from 0 to 2"),
    (lambda: F.cross_entropy(x, tg.ones(4)), BadType, "cross_entropy: expected a target of int64, the classes' numbers, got float32"),
    (lambda: F.cross_entropy(x, tensor_of(0, 1, 1, 1), weight=tg.ones(2)), BadValue, "cross_entropy: expected a weight for each of 3 classes, got shape (2,)"),
    (lambda: F.nll_loss(x, tensor_of(0, 1)), BadValue, "nll_loss: expected a target of shape (4,) for an input of shape (4, 3), got (2,)"),
    (lambda: nn.NLLLoss()(x, tensor_of(0, 1, 2, 9)), BadIndex, "nll_loss: class 9 is out of range: 3 classes go from 0 to 2"),
    (lambda: F.hinge_embedding_loss(x, tg.ones(5)), BadValue, "hinge_embedding_loss: operands could not be broadcast together with shapes (5,) () (4,3) (input: (4, 3) float32, target: (5,) float32)"),
    (lambda: F.gaussian_nll_loss(x, tg.ones(5, 3), x), BadValue, "gaussian_nll_loss: operands could not be broadcast together with shapes (4,3) (5,3) (input: (4, 3) float32, target: (5, 3) float32, var: (4, 3) float32)"),
    (lambda: F.cosine_similarity(x, tg.ones(4, 2)), Refusal, "cosine_similarity: the shapes (4, 3) and (4, 2) do not broadcast"),
    (lambda: F.pairwise_distance(x, tg.ones(4, 2)), BadValue, "pairwise_distance: operands could not be broadcast together with shapes (4,3) (4,2) (x1: (4, 3) float32, x2: (4, 2) float32)"),
    (lambda: F.triplet_margin_loss(x, x, tg.ones(4, 2)), BadValue, "triplet_margin_loss: operands could not be broadcast together with shapes (4,3) (4,2) (anchor: (4, 3) float32, positive: (4, 3) float32, negative: (4, 2) float32)"),
    (lambda: F.margin_ranking_loss(x, x, tg.ones(5, 3)), BadValue, "margin_ranking_loss: operands could not be broadcast together with shapes (5,3) (4,3) (input1: (4, 3) float32, input2: (4, 3) float32, target: (5, 3) float32)"),
    (lambda: F.layer_norm(x, (4,)), BadValue, "layer_norm: normalized_shape (4,) is not how an input of shape (4, 3) ends"),
    (lambda: nn.BatchNorm1d(5)(x), BadValue, "BatchNorm1d: expected 5 input channels, got 3 (input (4, 3))"),
    (lambda: nn.BatchNorm2d(3)(x), BadValue, "BatchNorm2d: expected 4D input (got 2D input, (4, 3))"),
    (lambda: F.batch_norm(x, tg.ones(5), tg.ones(5)), BadValue, "batch_norm: expected running_mean of 3 elements, one a channel, got shape (5,)"),
    (lambda: nn.BatchNorm1d(3)(tg.ones(1, 3)), BadValue, "batch_norm: expected more than 1 value per channel in training, got shape (1, 3)"),
    (lambda: F.group_norm(x, 2), BadValue, "group_norm: 3 channels do not fall into 2 equal groups"),
    (lambda: nn.LSTM(3, 4)(tg.ones(5, 2, 2)), Refusal, "LSTM: expected input features 3 (the last dim), got (5, 2, 2)"),
    (lambda: nn.LSTM(3, 4)(tg.ones(5, 2, 3), (tg.ones(1, 2, 5), tg.ones(1, 2, 4))), Refusal, "LSTM: expected h_0 of shape (1, 2, 4), got (1, 2, 5)"),
    (lambda: nn.LSTM(3, 4)(tg.ones(3)), BadValue, "LSTM: expected input of 2 (unbatched) or 3 dimensions, got shape (3,)"),
    (lambda: nn.LSTMCell(3, 4)(tg.ones(2, 5)), Refusal, "LSTMCell: expected input features 3 (the last dim), got (2, 5)"),
    (lambda: nn.MultiheadAttention(8, 2)(tg.ones(5, 2, 6), tg.ones(5, 2, 6), tg.ones(5, 2, 6)), BadValue, "multi_head_attention_forward: expected a query of size 8, a multiple of 2 heads, got 6"),
    (lambda: nn.MultiheadAttention(8, 2)(tg.ones(5, 2, 8), tg.ones(5, 2, 6), tg.ones(5, 2, 6)), BadValue, "multi_head_attention_forward: expected a key of shape (5, 2, 8), got (5, 2, 6)"),
    (lambda: nn.MultiheadAttention(8, 2)(tg.ones(5, 2, 8), tg.ones(5, 2, 8), tg.ones(5, 2, 8), attn_mask=tg.ones(3, 3)), BadValue, "multi_head_attention_forward: attn_mask of shape (3, 3) is not (L, S) or (N * num_heads, L, S)"),
    (lambda: nn.MultiheadAttention(8, 2)(tg.ones(5, 2, 8), tg.ones(6, 3, 8), tg.ones(6, 3, 8)), BadValue, "multi_head_attention_forward: expected a key of shape (6, 2, 8), got (6, 3, 8)"),
    (lambda: F.scaled_dot_product_attention(tg.ones(2, 5, 8), tg.ones(2, 5, 6), tg.ones(2, 5, 6)), BadValue, "scaled_dot_product_attention: expected shapes (..., L, E), (..., S, E) and (..., S, Ev), got (2, 5, 8), (2, 5, 6), (2, 5, 6)"),
    (lambda: F.scaled_dot_product_attention(tg.ones(2, 5, 8), tg.ones(2, 5, 8), tg.ones(2, 5, 8), attn_mask=tg.ones(3, 3)), BadValue, "scaled_dot_product_attention: expected attn_mask of shape (..., 5, 5), got (3, 3)"),
    (lambda: nn.TransformerEncoderLayer(8, 2)(tg.ones(5, 2, 6)), BadValue, "multi_head_attention_forward: expected a query of size 8, a multiple of 2 heads, got 6"),
    (lambda: F.dropout(x, 1.5), BadValue, "dropout: expected a probability p between 0 and 1, got 1.5"),
    (lambda: nn.Dropout(1.5), BadValue, "dropout probability has to be between 0 and 1, but got 1.5", "__init__"),
    (lambda: F.pad(x, (1, 1), mode="wrong"), BadValue, "pad: expected a mode among constant, reflect, replicate, circular, got 'wrong'"),
    (lambda: F.interpolate(x, 3), BadValue, "interpolate: expected an input of 3 to 5 dims and a mode for it, got (4, 3) and 'nearest'"),
    (lambda: nn.PReLU(5)(x), BadValue, "prelu: expected 1 or 3 weights for shape (4, 3), got 5"),
    (lambda: F.glu(x), BadValue, "glu: expected an even size along dim 1, got shape (4, 3)"),
    (lambda: nn.Linear(2, 2).load_state_dict([1]), TypeError, "load_state_dict: expected a dict of tensors by name, got list", "load_state"),
    (lambda: tg.ones(3, requires_grad=True).exp().backward(tg.ones(4)), BadValue, "backward: the gradient's shape (4,) is not the output's, (3,)", "roots_of"),
    (lambda: tg.autograd.grad(tg.ones((), requires_grad=True) * 2, tg.ones((), requires_grad=True)), RuntimeError, "grad: no output depends on input 0; pass allow_unused=True to get None there"),
    (lambda: x.item(), BadValue, "item: only a tensor of one element can be converted, this one has shape (4, 3)"),
    (lambda: bool(x), BadValue, "bool: a tensor of shape (4, 3) has no one truth value; use any() or all()", "__bool__"),
    (lambda: tg.ones(3, requires_grad=True).numpy(), RuntimeError, "numpy: this tensor requires grad; use detach().numpy(), or numpy(force=True)"),
    (lambda: tg.exp("a"), BadType, "exp: expected a Tensor for input, got str", "apply"),
    (lambda: F.relu([1.0]), BadType, "relu: expected a Tensor for input, got list"),
    (lambda: tg.unique(None), BadType, "unique: expected a Tensor for input, got NoneType"),
    (lambda: F.linear(x, None), BadType, "linear: expected a Tensor for weight, got NoneType"),
    (lambda: tg.tensor("a"), BadType, "tensor: expected numbers, or nested lists of them, got str"),
    (lambda: tg.zeros(2, -1), Refusal, "zeros: expected sizes of 0 or more, got (2, -1)"),
    (lambda: tg.full((2,), "a"), BadType, "full: expected a number as fill_value, got str", "call"),
    (lambda: tg.arange(0, 5, -1), Refusal, "arange: no steps of -1 lead from 0 to 5"),
    (lambda: tg.linspace(0, 1, -2), BadValue, "linspace: expected 0 or more steps, got -2", "call"),
    (lambda: tg.randint(5, 2, (3,)), Refusal, "randint: expected low < high, got 5 and 2"),
    (lambda: x.clamp(), BadValue, "clamp: expected min, max or both"),
    (lambda: tg.lerp(x.long(), x.long(), 0.5), BadType, "lerp: expected a tensor of floating-point numbers, got int64"),
    (lambda: x.cumsum(4), BadIndex, "cumsum: dim 4 is out of range; a tensor of 2 dimensions takes -2 to 1"),
    (lambda: x.sort(4), BadIndex, "sort: dim 4 is out of range; a tensor of 2 dimensions takes -2 to 1"),
    (lambda: tg.linalg.norm(x, "bad"), BadValue, "norm: expected ord 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got 'bad'", "linalg_norm"),
    (lambda: tg.linalg.inv(x), BadValue, "inv: expected square matrices, got the shape (4, 3)"),
    (lambda: tg.linalg.solve(tg.eye(3), tg.ones(4, 1)), BadValue, "solve: the shapes do not fit for AX = B: A (3, 3), B (4, 1)"),
    (lambda: tg.linalg.inv(tg.zeros(2, 2)), LinAlgError, "inv: the matrix is singular (A: (2, 2) float32)"),
    (lambda: tg.linalg.cholesky(-tg.eye(2)), LinAlgError, "cholesky: the matrix is not positive-definite (A: (2, 2) float32)"),
    (lambda: x.clone().copy_(tg.ones(5)), BadValue, "copy_: could not broadcast input array from shape (5,) into shape (4,3)", "write"),
    (lambda: tg.ones(3, requires_grad=True).add_(1), RuntimeError, "add_: a leaf that requires grad cannot be changed in place, its gradient would be lost; do it under no_grad(), or on a clone()", "check_writable"),
    (lambda: tg.ones(3, dtype=tg.int64, requires_grad=True), RuntimeError, "requires_grad_: only floating-point tensors can require gradients, this one is int64"),
    (lambda: x.flatten(1, 0), Refusal, "flatten: start_dim 1 comes after end_dim 0"),
    (lambda: tg.tril(tg.ones(3)), Refusal, "tril: expected 2 or more dimensions, got the shape (3,)"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*broadcast")
@pytest.mark.parametrize("call, kind, sentence, end", [row if len(row) == 4 else (*row, None) for row in REFUSED], ids=[row[2][:50] for row in REFUSED])
def test_a_mistake_is_told_in_one_sentence_and_one_traceback(call, kind, sentence, end):
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert str(error) == sentence
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert len(set(map(id, frames))) == len(frames), "a function that passes an error on does not stand there twice"
    names = [frame.f_code.co_name for frame in frames if Path(frame.f_code.co_filename).is_relative_to(PACKAGE)]
    public = [name for name in names if name.endswith("__") or name[0] not in "_<"]
    function = sentence.split(":")[0]
    assert public[-1] == (end or ("forward" if function[0].isupper() else function))


def test_a_state_dict_of_other_names_and_shapes():
    for state, wrong in (
        ({"weight": tg.ones(2, 2), "bais": tg.ones(2)}, 'Unexpected key(s) in state_dict: "bais"\n\tMissing key(s) in state_dict: "bias"'),
        ({"weight": tg.ones(3, 2), "bias": tg.ones(2)}, "size mismatch for weight: got shape (3, 2), the model's is (2, 2)"),
    ):
        with pytest.raises(RuntimeError) as caught:
            nn.Linear(2, 2).load_state_dict(state)
        assert str(caught.value) == "Error(s) in loading state_dict for Linear:\n\t" + wrong
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_refusal_carries_what_its_sentence_says():
    with pytest.raises(BadType) as caught:
        x.sum("rows")
    error = caught.value
    assert (error.function, error.argument, error.expected, error.got) == ("sum", "dim", "an int", "str")
    with pytest.raises(BadValue) as caught:
        F.linear(tg.ones(3, 5), tg.ones(2, 4))
    error = caught.value
    assert (error.function, error.argument, error.expected, error.got) == ("linear", "input", "input of shape (*, 4)", (3, 5))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_refusal_is_copied_and_pickled_whole(again):
    error = BadType(function="sum", argument="dim", expected="an int", got="str", hint="count from 0")
    other = again(error)
    assert type(other) is BadType and vars(other) == vars(error)
    assert str(other) == str(error) == "sum: expected an int for dim, got str; count from 0"


def test_a_sentence_is_made_of_the_parts():
    assert str(BadValue(argument="p", expected="p of 0 or more", got=-1)) == "expected p of 0 or more, got -1"
    assert str(BadValue(argument="p", expected="0 or more", got=-1)) == "expected 0 or more for p, got -1"
    assert str(BadValue("the sizes differ", function="cat")) == "cat: the sizes differ"
    assert str(BadValue("the sizes differ")) == "the sizes differ"
    assert str(type("Other", (BadValue,), {})("a whole sentence")) == "a whole sentence"
    error = BadValue("the shapes differ")
    error.called("add", "x: (2,), y: (3,)")
    error.called("add_")
    assert str(error) == "add_: the shapes differ (x: (2,), y: (3,))"
    error = BadValue("the shapes differ", got=((2,), (3,)))
    error.called("add", "x: (2,), y: (3,)")
    assert str(error) == "add: the shapes differ", "what came stands there already"


def test_an_argument_that_only_an_inner_function_has_keeps_its_name():
    from tinygrad_lite.ops.arguments import operation

    @operation
    def inner(x, width):
        raise BadValue(argument="width", expected="a width of 1 or more", got=width)

    @operation
    def outer(x):
        return inner(x, 0)

    @operation
    def alike(x, width):
        return inner(x, width - 1)

    for call, sentence in (
        (lambda: outer(x), "inner: expected a width of 1 or more, got 0"),
        (lambda: alike(x, 1), "alike: expected a width of 1 or more, got 0"),
    ):
        with pytest.raises(BadValue) as caught:
            call()
        assert str(caught.value) == sentence


DECIDING = {"startswith", "endswith", "find", "rfind", "index", "count", "split", "rsplit", "splitlines", "partition", "rpartition", "removeprefix"}


def parsed_messages(source: str) -> list[int]:
    """The lines in which the text of an exception decides something."""
    tree = ast.parse(source)
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    errors = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None and any(
            word in ast.unparse(node.annotation) for word in ("Exception", "Error", "Refusal")
        ):
            errors.add(node.arg)

    def is_error(node):
        return isinstance(node, ast.Name) and node.id in errors

    found = []
    for node in ast.walk(tree):
        text = (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr", "format") and node.args and is_error(node.args[0])
        ) or (isinstance(node, ast.Attribute) and node.attr in ("args", "problem", "message", "msg") and is_error(node.value))
        if not text:
            continue
        parent = parents[node]
        while isinstance(parent, (ast.Subscript, ast.BoolOp, ast.FormattedValue, ast.JoinedStr)):
            node, parent = parent, parents[parent]
        decides = (
            isinstance(parent, (ast.Compare, ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.comprehension, ast.UnaryOp))
            or (isinstance(parent, (ast.If, ast.While, ast.IfExp, ast.Assert)) and parent.test is node)
            or (isinstance(parent, ast.Attribute) and parent.attr in DECIDING)
            or (isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute) and isinstance(parent.func.value, ast.Name) and parent.func.value.id == "re")
        )
        if decides:
            found.append(node.lineno)
    return found


def test_nobody_reads_a_message():
    found = {str(path.relative_to(PACKAGE)): lines for path in sorted(PACKAGE.rglob("*.py")) if (lines := parsed_messages(path.read_text(encoding="utf-8")))}
    assert not found


@pytest.mark.parametrize("line", [
    "if str(error).startswith('expected '): pass", "if 'shape' in str(error): pass", "message = str(error)", "re.search('a', str(error))",
    "x = 1 if error.args[0] == 'a' else 2", "if str(error): pass", "str(error).split(':')",
])  # fmt: skip
def test_the_check_of_read_messages_finds(line):
    assert parsed_messages(f"try:\n    f()\nexcept ValueError as error:\n    {line}\n") == [4]


def test_the_check_of_read_messages_allows_to_pass_a_text_on():
    assert not parsed_messages("try:\n    f()\nexcept ValueError as error:\n    raise TypeError(f'no: {error}', str(error), str(error).strip()) from None\n")
