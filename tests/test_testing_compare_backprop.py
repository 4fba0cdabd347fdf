"""`testing.compare_backprop` names the first layer where gradients by hand are wrong, and the mistake."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.testing import Comparison, compare_backprop

draw = np.random.default_rng(0)
X, CLASSES, TARGETS = draw.standard_normal((5, 4)), draw.integers(0, 3, 5), draw.standard_normal((5, 3))
cross_entropy, mse = nn.functional.cross_entropy, nn.functional.mse_loss


@pytest.fixture(scope="module")
def model():
    tg.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Sigmoid(), nn.Linear(6, 3))


def by_hand(tanh="result", sigmoid="result", size=5, target=1, through=lambda w: w, outputs=False, change=None):
    """The backward pass of the model and cross-entropy as a student writes it, with mistakes.

    `tanh`, `sigmoid`: where their derivative is taken, None to leave it out. `size`: by which the loss is divided. `target`: the
    share of the target that is subtracted. `through`: of the weight of layer 2. `change(gradients, parameters)` at the end.
    """

    def backward(p, batch):
        x, y = batch
        z1 = x @ p["0.weight"].T + p["0.bias"]
        a1 = np.tanh(z1)
        z2 = a1 @ p["2.weight"].T + p["2.bias"]
        a2 = 1 / (1 + np.exp(-z2))
        z3 = a2 @ p["4.weight"].T + p["4.bias"]
        share = np.exp(z3) / np.exp(z3).sum(1, keepdims=True)
        d3 = (share - target * np.eye(3)[y]) / size
        d2 = d3 @ p["4.weight"] * {"result": a2 * (1 - a2), "input": z2 * (1 - z2), None: 1}[sigmoid]
        d1 = d2 @ through(p["2.weight"]) * {"result": 1 - a1**2, "input": 1 - z1**2, None: 1}[tanh]
        g = {}
        for name, d, a in (("4", d3, a2), ("2", d2, a1), ("0", d1, x)):
            g |= {f"{name}.weight": d.T @ a, f"{name}.bias": d.sum(0)}
            if outputs:
                g[name] = d
        if change is not None:
            change(g, p)
        return g

    return backward


def changed(name, function):
    def change(g, p):
        g[name] = function(g[name], p[name]) if name in p else function(g[name])

    return change


def compared(function, model, **options):
    return compare_backprop(function, model, cross_entropy, (X, CLASSES), raise_exception=False, **options)


MISTAKES = {
    "the mean is missing": (by_hand(size=1), "4", "the gradient of 4.weight is wrong by a factor 5: the batch size (a sum where a mean is meant?)"),
    "the mean is taken twice": (by_hand(size=25), "4", "wrong by a factor 1/5: the batch size (a mean where a sum is meant?)"),
    "the mean is over the outputs too": (by_hand(size=15), "4", "the gradient of 4.weight is wrong by a factor 1/3"),
    "the target is not subtracted": (by_hand(target=0), "4", "which does not subtract the one-hot target from the softmax"),
    "the target has the wrong sign": (by_hand(target=-1), "4", "the gradient of 4.weight is wrong"),
    "the tanh is left out": (by_hand(tanh=None), "0", "the gradient of 0.weight is that of a backward pass which leaves out the derivative of tanh (layer 1)"),
    "the tanh at its input": (by_hand(tanh="input"), "0", "which takes the derivative of tanh (layer 1) at its input instead of its result"),
    "the sigmoid is left out": (by_hand(sigmoid=None), "2", "the gradient of 2.weight is that of a backward pass which leaves out the derivative of sigmoid (layer 3)"),
    "the sigmoid at its input": (by_hand(sigmoid="input"), "2", "which takes the derivative of sigmoid (layer 3) at its input instead of its result"),
    "a weight that is transposed": (by_hand(through=np.transpose), "0", "which multiplies by the weight of linear (layer 2) untransposed, or transposed"),
    "the sign of one": (by_hand(change=changed("2.weight", lambda g, p: -g)), "2", "the gradient of 2.weight has the wrong sign"),
    "one that is transposed": (by_hand(change=changed("0.weight", lambda g, p: g.T)), "0", "has shape (4, 6) instead of (6, 4): it is transposed"),
    "a square one that is transposed": (by_hand(change=changed("2.weight", lambda g, p: g.T)), "2", "the gradient of 2.weight is transposed"),
    "weight decay": (by_hand(change=changed("2.weight", lambda g, p: g + 0.1 * p)), "2", "contains 1/10 times the parameter 2.weight itself (weight decay)"),
    "a bias with keepdims": (by_hand(change=changed("4.bias", lambda g, p: g[None])), "4", "has shape (1, 3) instead of (3,): reshape it"),
    "a bias as a mean": (by_hand(change=changed("2.bias", lambda g, p: g / 5)), "2", "the gradient of 2.bias is wrong by a factor 1/5: the batch size"),
    "one is missing": (by_hand(change=lambda g, p: g.pop("0.bias")), "0", "the gradient of 0.bias is missing"),
    "one of zeros": (by_hand(change=changed("0.bias", lambda g, p: 0 * g)), "0", "the gradient of 0.bias is zero everywhere"),
    "one that is another's": (by_hand(change=lambda g, p: g.update({"0.bias": g["2.bias"]})), "0", "the gradient of 0.bias is that of 2.bias"),
    "one that is nan": (by_hand(change=changed("2.bias", lambda g, p: g + np.nan)), "2", "the gradient of 2.bias is nan at 6 of 6 places"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_the_first_layer_and_the_mistake_are_named(name, model):
    function, layer, words = MISTAKES[name]
    report = compared(function, model)
    assert report.layer == layer and words in str(report), str(report)
    assert f"the gradients part first at layer {layer}, Linear" in str(report)


def test_gradients_that_are_right_are_said_to_be(model):
    report = compared(by_hand(), model)
    assert report.ok and isinstance(report, Comparison) and report.layer == "" and not report.parted
    assert report.compared == ["4.weight", "4.bias", "2.weight", "2.bias", "0.weight", "0.bias"]


def test_one_mistake_is_told_once(model):
    report = compared(by_hand(sigmoid=None), model)
    assert len(report.findings) == 1 and report.parted[0] == "2.weight"
    assert report.consequences == ["2.bias", "0.weight", "0.bias"]
    assert "(right until then: 4.weight, 4.bias)" in str(report)
    assert "as a consequence, others differ: 2.bias, 0.weight, 0.bias" in str(report)


def test_a_second_mistake_is_told_beside_the_first(model):
    report = compared(by_hand(size=1, tanh=None), model)
    assert [finding.message for finding in report.findings] == [
        "the gradient of 4.weight is wrong by a factor 5: the batch size (a sum where a mean is meant?)",
        "the gradient of 0.weight is that of a backward pass which leaves out the derivative of tanh (layer 1)",
    ]


def test_gradients_by_the_outputs_of_layers_can_be_given_too(model):
    report = compared(by_hand(outputs=True), model)
    assert report.ok and report.compared == ["4", "4.weight", "4.bias", "2", "2.weight", "2.bias", "0", "0.weight", "0.bias"]
    report = compared(by_hand(outputs=True, change=changed("2", lambda g: 2 * g)), model)
    assert report.layer == "2" and report.findings[0].message == "the gradient by the output of 2 is wrong by a factor 2"


def test_gradients_may_be_a_list_in_the_order_of_the_parameters(model):
    names = [name for name, _ in model.named_parameters()]
    assert compared(lambda p, batch: [by_hand()(p, batch)[name] for name in names], model).ok


def test_functions_are_seen_as_modules_are():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.out(self.hidden(x).relu())

    def backward(p, batch):
        x, y = batch
        a = np.maximum(x @ p["hidden.weight"].T + p["hidden.bias"], 0)
        d = 2 * (a @ p["out.weight"].T + p["out.bias"] - y) / y.size
        back = d @ p["out.weight"]  # without the derivative of relu
        return {"out.weight": d.T @ a, "out.bias": d.sum(0), "hidden.weight": back.T @ x, "hidden.bias": back.sum(0)}

    report = compare_backprop(backward, Net(), mse, (X, TARGETS), raise_exception=False)
    assert report.layer == "hidden" and "leaves out the derivative of relu" in report.findings[0].message


def test_a_path_that_is_left_out_is_named():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            h = self.a(x).tanh()
            return h + self.b(h).relu()

    def backward(p, batch):
        x, y = batch
        h = np.tanh(x @ p["a.weight"].T + p["a.bias"])
        z = h @ p["b.weight"].T + p["b.bias"]
        d = 2 * (h + np.maximum(z, 0) - y) / y.size
        d_z = d * (z > 0)
        d_h = d_z @ p["b.weight"]  # without d, which the sum sends to h
        d_a = d_h * (1 - h**2)
        return {"b.weight": d_z.T @ h, "b.bias": d_z.sum(0), "a.weight": d_a.T @ x, "a.bias": d_a.sum(0)}

    report = compare_backprop(backward, Residual(), mse, (X, X**2), raise_exception=False)
    assert report.layer == "a" and "leaves out the path by add to the result of tanh" in report.findings[0].message


def test_gradients_of_zeros_are_told_once(model):
    report = compared(lambda p, batch: {name: 0 * value for name, value in p.items()}, model)
    assert len(report.findings) == 1 and "is zero everywhere" in report.findings[0].message


def test_gradients_that_are_missing_are_said_to_be(model):
    def backward(p, batch):
        return {"4.weight": np.zeros((3, 6))}

    report = compare_backprop(backward, model, cross_entropy, (X, CLASSES), raise_exception=False)
    assert [finding.message.rpartition(" is ")[2] for finding in report.findings] == ["zero everywhere", *["missing"] * 5]


def test_a_factor_of_one_gradient_is_not_taken_for_one_of_the_next(model):
    report = compared(by_hand(tanh=None, change=changed("2.bias", lambda g, p: g / 5)), model)
    assert [finding.message for finding in report.findings] == [
        "the gradient of 2.bias is wrong by a factor 1/5: the batch size (a mean where a sum is meant?)",
        "the gradient of 0.weight is that of a backward pass which leaves out the derivative of tanh (layer 1)",
    ]


def test_a_parameter_of_the_model_itself_has_no_layer():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(tg.ones(4))

        def forward(self, x):
            return x * self.scale

    report = compare_backprop(lambda p, x: {"scale": x.sum(0) * 2}, Scale(), lambda out: out.sum(), X, raise_exception=False)
    assert report.layer == "" and "the model's own parameters, Scale" in str(report)


def test_the_model_and_the_batch_stay_as_they_are(model):
    before, x = [p.detach().numpy().copy() for p in model.parameters()], X.copy()

    def careless(p, batch):
        for value in (*p.values(), batch[0]):
            value[...] = 0
        return {name: np.zeros_like(value) for name, value in p.items()}

    compare_backprop(careless, model, cross_entropy, (x, CLASSES), raise_exception=False)
    assert all(np.array_equal(p.detach().numpy(), value) for p, value in zip(model.parameters(), before))
    assert np.array_equal(x, X) and all(p.grad is None and p.dtype == tg.float32 for p in model.parameters())


def test_a_difference_raises_with_the_text(model):
    with pytest.raises(AssertionError, match="part first at layer 0"):
        compare_backprop(by_hand(tanh=None), model, cross_entropy, (X, CLASSES))
    assert compare_backprop(by_hand(), model, nn.CrossEntropyLoss(), (tg.tensor(X), tg.tensor(CLASSES))).ok


def test_what_cannot_be_compared_is_refused(model):
    right, batch = by_hand(), (X, CLASSES)
    for arguments, error, words in [
        ((right, "model", cross_entropy, batch), TypeError, "model must be a Module, got str"),
        ((3, model, cross_entropy, batch), TypeError, "by_hand must be callable, got int"),
        ((right, model, None, batch), TypeError, "loss must be callable, got NoneType"),
        ((lambda p, b: 3, model, cross_entropy, batch), TypeError, "must return a dict or a list of gradients, got int"),
        ((lambda p, b: [], model, cross_entropy, batch), ValueError, "returned 0 gradients for 6 parameters"),
        ((lambda p, b: {"5.weight": X}, model, cross_entropy, batch), ValueError, r"of \['5.weight'\]; known are \["),
        ((right, model, lambda out, y: out, batch), ValueError, "loss must return a Tensor with one element"),
        ((right, nn.Sequential(*model, nn.Dropout()), cross_entropy, batch), ValueError, r"another in each call; call model.eval\(\)"),
    ]:  # fmt: skip
        with pytest.raises(error, match=words):
            compare_backprop(*arguments)
