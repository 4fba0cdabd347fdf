"""Behaviour specific to GPUs. Runs with `--device=standin` (or cuda); see conftest.py."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.nn import functional as F
from tinygrad_lite.utils.checkpoint import checkpoint
from tinygrad_lite.utils.data import DataLoader, TensorDataset


@pytest.fixture(autouse=True)
def gpu(device):
    if device == "cpu":
        pytest.skip("needs --device=standin or cuda")


@pytest.fixture
def standin(request, monkeypatch):
    """The stand-in with asynchronous checks."""
    if not request.config.getoption("--device").startswith("standin"):
        pytest.skip("needs --device=standin")
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING")
    import cupy

    return cupy


@pytest.fixture
def two():
    if tg.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    return "cuda:0", "cuda:1"


# -- a training step does not wait for values ------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.head = nn.LSTM(4, 5, batch_first=True), nn.GRU(5, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.gru(self.lstm(x)[0])[0][:, -1])


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(9, 8), nn.Embedding(6, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 9)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        h = self.words(x) + self.places(tg.arange(x.shape[1], device=x.device))
        return self.head(self.block(h, src_mask=mask, is_causal=True)).mT


MODELS = {
    "perceptron": lambda: (
        nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.BatchNorm1d(16), nn.Linear(16, 4)),
        tg.randn(6, 8), tg.randint(0, 4, (6,)),
    ),
    "convolution": lambda: (
        nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.GELU(),
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 3),
        ),
        tg.randn(2, 1, 8, 8), tg.randint(0, 3, (2,)),
    ),
    "recurrent": lambda: (Recurrent(), tg.randn(3, 6, 4), tg.randint(0, 3, (3,))),
    "language": lambda: (Language(), tg.randint(0, 9, (2, 6)), tg.randint(0, 9, (2, 6))),
}  # fmt: skip
OPTIMIZERS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD", "Adafactor")


def step(model, optimizer, x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss


@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_transfers_nothing(standin, name):
    from tests.standin import transfers

    model, x, y = MODELS[name]()
    for kind in OPTIMIZERS:
        optimizer = getattr(tg.optim, kind)(model.parameters(), lr=0.01)
        step(model, optimizer, x, y)  # tables of the layers' geometry are copied to the GPU once
        del transfers[:]
        loss = step(model, optimizer, x, y)
        assert transfers == [], f"{kind}: {transfers}"
        loss.item()
        assert transfers[-1] == "item", "and the flags of refused indices, if any"


def test_the_count_of_transfers_counts(standin):
    from tests.standin import transfers

    x = tg.ones(3)
    for ask in (
        lambda: x.tolist(), lambda: bool(x[0]), lambda: float(x.sum()), lambda: x.cpu(), lambda: x[x > 0], lambda: x.nonzero(),
        lambda: tg.tensor([1.0, 2.0]), lambda: x.unique(), lambda: f"{x[0]:.2f}", lambda: tg.cuda.synchronize(),
    ):  # fmt: skip
        del transfers[:]
        ask()
        assert transfers


# -- errors that cannot be seen without waiting are raised at the next read -------------------------


LATE = {
    "getitem": (lambda: tg.ones(3)[tg.tensor([0, 5])], "getitem: .*out of range for dim 0 of size 3"),
    "gather": (lambda: tg.ones(3).gather(0, tg.tensor([-1])), "gather: .*out of range for 3 elements"),
    "embedding": (lambda: F.embedding(tg.tensor([4]), tg.ones(4, 2)), "embedding: .*out of range for 4 elements"),
    "cross_entropy": (lambda: F.cross_entropy(tg.ones(1, 3), tg.tensor([3])), "out of range: 3 classes go from 0 to 2"),
}


@pytest.mark.parametrize("name", LATE)
def test_a_bad_index_is_refused_when_a_value_is_read(standin, name, monkeypatch):
    call, message = LATE[name]
    call()
    with pytest.raises(IndexError, match=message):
        tg.ones(2).sum().item()
    tg.ones(2).sum().item()  # and only once
    call()
    with pytest.raises(IndexError, match=message):
        tg.cuda.synchronize()
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    with pytest.raises(IndexError, match=message):
        call()


@pytest.mark.parametrize("read", [lambda: tg.ones(3).tolist(), lambda: tg.full((2,), tg.ones(()))])
def test_a_late_refusal_keeps_the_name_of_the_function_that_was_called(standin, read):
    tg.ones(3).gather(0, tg.tensor([-1]))
    with pytest.raises(IndexError, match="^gather: a certain index is out of range for 3 elements"):
        read()


# -- optimizers in one kernel ----------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in ("Adafactor", "Rprop")])
def test_an_update_is_one_kernel_and_does_what_it_does_on_the_cpu(name, device):
    from tinygrad_lite.arrays import fusion

    results = []
    for where in ("cpu", device):
        draw = np.random.default_rng(0)
        params = [tg.tensor(draw.normal(size=s), device=where, requires_grad=True) for s in ((3, 4), (5,), (200, 100))]
        optimizer = getattr(tg.optim, name)(params, lr=0.05)
        for _ in range(7):
            for p in params:
                p.grad = tg.tensor(draw.normal(size=p.shape), device=where)
            before = fusion.kernel_of.cache_info()
            optimizer.step()
            after = fusion.kernel_of.cache_info()
            assert after.hits + after.misses - before.hits - before.misses == (0 if where == "cpu" else 2)
        results.append([p.detach().numpy() for p in params])
    for ours, theirs in zip(*results):  # a compiled loop of the CPU may round a product and its sum once, seen in values near 0
        np.testing.assert_allclose(theirs, ours, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("call", [F.silu, F.gelu, lambda x: F.gelu(x, approximate="tanh"), lambda x: F.binary_cross_entropy_with_logits(x, x.detach())])
def test_chains_of_elementwise_work_are_one_kernel(call, device):
    from tinygrad_lite.arrays import fusion

    results = []
    for where in ("cpu", device):
        before = sum(fusion.kernel_of.cache_info()[:2])
        x = tg.linspace(-3, 3, 20, dtype=tg.float64, device="cpu").to(where).requires_grad_()
        y = call(x)
        y.sum().backward()
        assert sum(fusion.kernel_of.cache_info()[:2]) > before or where == "cpu"
        results.append((y.detach().numpy(), x.grad.numpy()))
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(theirs, ours, rtol=1e-12)


def test_kernels_are_built_for_operations_and_not_for_numbers(device):
    from tinygrad_lite.arrays import fusion

    p = tg.ones(5, requires_grad=True)
    p.grad = tg.ones(5)
    optimizer = tg.optim.Adam([p], lr=0.5)
    optimizer.step()
    built = fusion.kernel_of.cache_info().misses
    for rate in (0.1, 0.2, 0.3):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    assert fusion.kernel_of.cache_info().misses == built


# -- several GPUs ----------------------------------------------------------------------------------


def test_two_gpus_keep_apart(two):
    first, second = two
    with tg.cuda.device(0):
        x = tg.ones(2, 3, device=first, requires_grad=True)
        w = tg.full((3, 2), 2.0, device=second, requires_grad=True)
        with pytest.raises(ValueError, match=r"matmul: .*same device: input on cuda:0, other on cuda:1"):
            x @ w
        with pytest.raises(ValueError, match=r"add: .*cuda:0.*cuda:1"):
            x.sum(0) + w.sum(1)
        y = (x.to(second) @ w).sigmoid()
        z = (y.to(first) * x[:, :2]).sum() + (w**2).sum().to(first)
        assert (y.device, z.device) == (tg.device(second), tg.device(first))
        z.backward()
        assert (x.grad.device, w.grad.device) == (tg.device(first), tg.device(second))
        assert tg.cuda.current_device() == 0
    a, b = tg.ones(2, 3, requires_grad=True, device="cpu"), tg.full((3, 2), 2.0, requires_grad=True, device="cpu")
    (((a @ b).sigmoid() * a[:, :2]).sum() + (b**2).sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), a.grad.numpy(), rtol=1e-6)
    np.testing.assert_allclose(w.grad.numpy(), b.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "Adafactor", "LBFGS"])
def test_a_model_on_the_gpu_that_is_not_the_current_one(two, optimizer):
    losses = []
    for where in ("cpu", two[1]):
        draw = np.random.default_rng(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 3)).double().to(where)
        for p in model.parameters():
            p.data.copy_(tg.tensor(draw.normal(size=p.shape), device=where))
        x, y = tg.tensor(draw.normal(size=(6, 4)), device=where), tg.tensor(draw.integers(0, 3, 6), device=where)
        opt = getattr(tg.optim, optimizer)(model.parameters(), lr=0.01)

        def closure(opt=opt, model=model, x=x, y=y):
            opt.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        losses.append([opt.step(closure).item() for _ in range(4)])
        assert all(str(p.device) == where for p in model.parameters())
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_one_optimizer_updates_small_parameters_on_both_gpus(two, name):
    params = [tg.ones(3, device=device, requires_grad=True) for device in two for _ in range(2)]
    optimizer = getattr(tg.optim, name)(params, lr=0.5)
    for _ in range(2):
        for p in params:
            p.grad = tg.ones_like(p)
        optimizer.step()
    assert [str(p.device) for p in params] == [str(p.grad.device) for p in params]
    assert len({tuple(p.tolist()) for p in params}) == 1


def test_both_gpus_have_memory_and_streams_of_their_own(two, standin):
    gc.collect()
    before = [tg.cuda.memory_allocated(i) for i in (0, 1)]
    x = tg.zeros(1000, device=two[1])
    assert [tg.cuda.memory_allocated(i) - b for i, b in zip((0, 1), before)] == [0, x.nbytes]
    del x
    assert tg.cuda.memory_allocated(1) == before[1]
    tg.manual_seed(0)
    a = [tg.rand(3, device=where).tolist() for where in two]
    tg.manual_seed(0)
    assert [tg.rand(3, device=where).tolist() for where in reversed(two)] == a[::-1]


# -- data that follow a tensor to its GPU ----------------------------------------------------------


def test_modules_optimizers_and_batches_follow(device):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).to("cpu")
    assert not any(t.is_cuda for t in model.state_dict().values())
    optimizer = tg.optim.Adam(model.parameters())
    model(tg.ones(2, 3, device="cpu")).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    model.to(device)
    assert all(t.is_cuda for t in (*model.parameters(), *model.buffers()))
    optimizer = tg.optim.Adam(model.parameters())
    optimizer.load_state_dict(saved)
    assert all(state["exp_avg"].is_cuda for state in optimizer.state.values())
    data = TensorDataset(tg.ones(6, 3, device=device), tg.arange(6, device=device))
    for x, y in DataLoader(data, batch_size=4, pin_memory=True):
        assert x.is_cuda and y.is_cuda
        model(x.to(device, non_blocking=True)).sum().backward()
    assert tg.ones(2, device="cpu").pin_memory().cuda(non_blocking=True).is_cuda
    assert not model.cpu()[0].weight.is_cuda


def test_files_and_map_location(tmp_path, device):
    tg.save({"w": tg.ones(2, device=device)}, tmp_path / "w")
    assert tg.load(tmp_path / "w")["w"].is_cuda
    for where in ("cpu", tg.device("cpu"), {str(tg.ones(1, device=device).device): "cpu"}, lambda storage, place: storage):
        assert not tg.load(tmp_path / "w", map_location=where)["w"].is_cuda


def test_the_default_device():
    before = tg.get_default_device()
    with tg.device("cpu"):
        assert not tg.ones(1).is_cuda and not tg.tensor([1.0]).is_cuda and not tg.rand(1).is_cuda
        with tg.device("cuda"):
            assert tg.arange(3).is_cuda and tg.eye(2).is_cuda and tg.randn(2).is_cuda and tg.linspace(0, 1, 3).is_cuda
            assert nn.Linear(2, 2).weight.is_cuda and tg.hann_window(4).is_cuda
    assert tg.get_default_device() == before


def test_a_checkpoint_draws_the_same_random_numbers_again(device):
    tg.manual_seed(0)
    for _ in range(2):  # the stream's first numbers, and later ones
        x = tg.ones(1000, device=device, requires_grad=True)
        y = checkpoint(lambda x: F.dropout(x, 0.5) * x, x, use_reentrant=False)
        y.sum().backward()
        assert ((x.grad != 0) == (y != 0)).all()


def test_questions(device):
    assert tg.cuda.is_available() and tg.cuda.device_count() >= 1
    assert isinstance(tg.cuda.get_device_name(), str) and tg.cuda.get_device_capability() >= (3, 0)
    assert tg.cuda.memory_reserved() >= tg.cuda.memory_allocated() >= 0
    x = tg.ones(2, device=device)
    assert x.is_cuda and x.get_device() == x.device.index and repr(x).startswith("tensor([1., 1.]")
    tg.cuda.empty_cache()


# -- bad input -------------------------------------------------------------------------------------


def test_a_gpu_that_does_not_exist():
    count = tg.cuda.device_count()
    for call in (
        lambda: tg.zeros(2, device=f"cuda:{count}"), lambda: tg.zeros(2, device="cpu").to(f"cuda:{count}"),
        lambda: tg.cuda.set_device(count), lambda: tg.set_default_device(f"cuda:{count}"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=f"'cuda:{count}' does not exist: "):
            call()


def test_out_of_memory_says_how_much_was_asked_and_held(standin):
    pool = standin.get_default_memory_pool()
    held = tg.zeros(1 << 20)
    with standin.cuda.Device(held.device.index):
        pool.set_limit(size=pool.used_bytes() + (1 << 20))
    try:
        for call in (lambda: tg.zeros(1 << 20), lambda: held + 1, lambda: held.clone(), lambda: tg.rand(1 << 20)):
            with pytest.raises(tg.cuda.OutOfMemoryError, match=r"out of memory: [48]\.0 MiB were asked for, arrays hold .*limit"):
                call()
    finally:
        with standin.cuda.Device(held.device.index):
            pool.set_limit(size=0)
    assert (held + 1).sum().item() == 1 << 20


def test_numpy_is_refused(device):
    x = tg.ones(2, device=device)
    with pytest.raises(ValueError, match=r"add: all tensors must be on the same device: input on cuda:\d, other on cpu"):
        x + tg.ones(2, device="cpu")
