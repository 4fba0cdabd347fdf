"""`tg.compile` on a GPU: the calls of a program become CUDA graphs, or are made one by one, and nothing else differs. Runs with
`--device=standin` (or cuda)."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.compiler import gpu_calls
from tinygrad_lite.compiler.stand_ins import Untraceable
from tinygrad_lite.nn import functional as F


@pytest.fixture(autouse=True)
def gpu(device, monkeypatch):
    if device == "cpu":
        pytest.skip("needs --device=standin or cuda")
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING")


@pytest.fixture
def standin(request):
    if not request.config.getoption("--device").startswith("standin"):
        pytest.skip("needs --device=standin")
    import cupy

    return cupy


def form(step):
    """How the newest program's calls are made."""
    assert step.explain().programs, step.explain().refusal
    return step.programs[0].plan.form


def training(optimizer, *layers):
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), *layers, nn.Linear(8, 3))
    optimizer = optimizer(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, step


def batch(i, device):
    draw = np.random.default_rng(i)
    return tg.tensor(draw.standard_normal((5, 6), np.float32), device=device), tg.tensor(draw.integers(0, 3, 5), device=device)


STEPS = {
    "SGD": (lambda p: optim.SGD(p, lr=0.1, momentum=0.9), nn.Tanh()), "Adam": (lambda p: optim.Adam(p, lr=0.01), nn.GELU()),
    "AdamW": (lambda p: optim.AdamW(p, lr=0.01), nn.SiLU()), "dropout": (lambda p: optim.SGD(p, lr=0.1), nn.Dropout(0.5)),
    "NAdam, whose numbers come from the CPU": (lambda p: optim.NAdam(p, lr=0.01), nn.ReLU()),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_one_graph_and_does_what_it_does_without(name, device):
    results = []
    for compiled in (False, True):
        model, optimizer, step = training(*STEPS[name])
        step = tg.compile(step, fullgraph=True) if compiled else step
        schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        seen = []
        for i in range(6):
            seen.append(step(*batch(i, device)).item())
            schedule.step()
        results.append([*seen, *(p.detach().numpy() for p in model.parameters()), tg.rand(2, device=device).numpy()])
    for value, wanted in zip(*results):
        np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=1e-6)
    assert form(step).startswith("CUDA graphs") and step.explain().programs == 1
    assert "CUDA graphs" in str(step.explain())


def test_a_step_transfers_nothing(standin, device):
    from tests.standin import transfers

    _, _, step = training(*STEPS["Adam"])
    step = tg.compile(step, fullgraph=True)
    data = [batch(i, device) for i in range(6)]
    for given in data[:3]:
        step(*given)
    before = len(transfers)
    for given in data[3:]:
        step(*given)
    assert transfers[before:] == [] and form(step).startswith("CUDA graphs")


def test_chains_are_one_kernel(device):
    w = tg.linspace(0.1, 1, 12, device=device).reshape(3, 4)
    step = tg.compile(lambda x: (((x * 2 + w).exp() - 1) * x).tanh().sum(0), fullgraph=True)
    for i in range(4):
        x = tg.full((3, 4), 0.1 * i, device=device)
        np.testing.assert_allclose(step(x).numpy(), (((x * 2 + w).exp() - 1) * x).tanh().sum(0).numpy(), rtol=1e-6)
    assert [len(action.made) for action in step.programs[0].plan.actions] == [1, 1], "a chain and a sum"
    apart = tg.compile(lambda x: (x * 2 + w).exp(), fullgraph=True, options={"fuse": False})
    apart(x), apart(x)
    assert form(apart).startswith("call by call") and len(apart.programs[0].plan.actions) == 3


# -- what has no graph -------------------------------------------------------------------------------


def test_a_value_that_decides_what_follows_is_read_in_its_place(device):
    step = tg.compile(lambda x: x * x.sum().item(), fullgraph=True)
    for i in range(4):
        assert step(tg.tensor([1.0, i], device=device)).tolist() == [1 + i, i * (1 + i)]
    assert "read from the GPU" in form(step)


def test_a_value_that_is_only_returned_is_read_when_all_is_done(device):
    def step(x):
        first = x.sum().item()
        x.mul_(2)
        return first, x.sum().item() + 1

    step, x = tg.compile(step, fullgraph=True), tg.ones(3, device=device)
    assert [step(x) for _ in range(4)] == [(3, 7), (6, 13), (12, 25), (24, 49)]
    assert form(step) == "one CUDA graph"


def test_what_no_graph_can_hold_is_called_between_graphs(device):
    """CuPy records no products and no factorizations, and sorting waits for the GPU."""

    def function(x, y):
        z = (x @ y + 1).sort().values
        return (tg.linalg.inv(z * tg.eye(2, device=device)) * 2) @ y, z.sum()

    step = tg.compile(function, fullgraph=True)
    for i in range(4):
        x, y = tg.tensor([[3.0, i], [1.0, 2.0]], device=device), tg.tensor([[1.0, 2.0], [0.5, i]], device=device)
        for found, wanted in zip(step(x, y), function(x, y)):
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-6)
    assert form(step) == "CUDA graphs (4), and calls between them that no graph can hold (4: .argsort, .dot, solved_or_inf)"


def test_a_mask_that_is_written_to_waits_for_the_gpu(device):
    def step(x, mask):
        y = x * 2
        y[mask] = 1
        return y + 1

    step = tg.compile(step, fullgraph=True)
    for i in range(4):
        x = tg.arange(3.0, device=device) + i
        assert step(x, x > i).tolist() == [2 * i + 1, 2, 2]
    assert "call by call" not in form(step)


def test_what_cannot_be_recorded_is_done_call_by_call(standin, device, monkeypatch):
    def refuse(self):
        raise standin.cuda.runtime.CUDARuntimeError("cudaErrorStreamCaptureInvalidated")

    monkeypatch.setattr(standin.cuda.Stream, "end_capture", refuse)
    step = tg.compile(lambda x: (x + 1) * 2, fullgraph=True)
    for i in range(4):
        assert step(tg.tensor([3.0, i], device=device)).tolist() == [8, 2 * i + 2]
    assert form(step) == "call by call: CUDARuntimeError: cudaErrorStreamCaptureInvalidated"
    assert "call by call" in str(step.explain())


def test_a_kernel_that_is_another_on_a_gpu_stays_whole(device):
    def step(x, i):
        return tg.zeros(4, device=device).scatter_reduce(0, i, x, "prod", include_self=False)

    compiled, i = tg.compile(step, fullgraph=True), tg.tensor([0, 2, 0, 0, 2], device=device)
    for k in range(4):
        x = tg.arange(5.0, device=device) + k
        assert compiled(x, i).tolist() == step(x, i).tolist()


def test_random_numbers_that_depend_on_values_continue_the_stream(device):
    results = []
    for wrap in (lambda step: step, lambda step: tg.compile(step, fullgraph=True)):
        tg.manual_seed(3)
        step = wrap(lambda x: (tg.rand(2, device=device) + x, tg.poisson(x * 5), tg.rand(2, device=device)))
        results.append([part.tolist() for i in range(4) for part in step(tg.ones(2, device=device) * i)])
    assert results[0] == results[1]
    assert "random" in form(step)


# -- checks, errors, refusals ------------------------------------------------------------------------


def embedding(device):
    w, table = tg.zeros(1, device=device), tg.ones(4, 2, device=device)

    def step(i):
        w.add_(1)
        return F.embedding(i, table)

    step = tg.compile(step, fullgraph=True)
    for _ in range(3):
        step(tg.tensor([1], device=device))
    return step, w


def test_an_index_out_of_range_is_reported_by_the_next_read(device):
    step, _ = embedding(device)
    found = step(tg.tensor([7], device=device))
    assert form(step) == "one CUDA graph"
    with pytest.raises(IndexError, match="out of range"):
        found.tolist()
    assert step(tg.tensor([2], device=device)).tolist() == [[1, 1]]


def test_with_launch_blocking_the_call_itself_raises_and_changes_nothing(device, monkeypatch):
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    step, w = embedding(device)
    assert "CUDA_LAUNCH_BLOCKING" in form(step)
    with pytest.raises(IndexError, match="out of range"):
        step(tg.tensor([7], device=device))
    assert w.item() == 3


def test_what_cupy_does_in_another_way_runs_without_a_program(device, monkeypatch):
    """The rehearsal notices, and leaves nothing changed."""
    model, _, step = training(*STEPS["Adam"])
    twin, _, eager = training(*STEPS["Adam"])
    perform = gpu_calls.perform_on_gpu

    def differently(function, arguments, keywords):
        found = perform(function, arguments, keywords)
        return found.astype(np.float64) if function == ".sum" and found.dtype == np.float32 else found

    monkeypatch.setattr(gpu_calls, "perform_on_gpu", differently)
    step = tg.compile(step)
    with pytest.warns(UserWarning, match=r"CuPy makes \(.*\) float64 of .sum, NumPy \(.*\) float32"):
        for i in range(4):
            assert step(*batch(i, device)).item() == eager(*batch(i, device)).item()
    for p, q in zip(model.parameters(), twin.parameters()):
        assert (p == q).all()
    assert step.explain().programs == 0 and "CuPy makes" in step.explain().refusal


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 2 if x.sum() > 0 else x, lambda x: x[x > 0], lambda x: tg.zeros(int(x.sum())), lambda x: print(x) or x,
        lambda x: x.cpu(), lambda x: (x, tg.zeros(2, device="cpu")), lambda x: tg.tensor(x.tolist()),
    ],
)  # fmt: skip
def test_what_a_program_cannot_hold_is_refused(function, device):
    step, x = tg.compile(function, fullgraph=True), tg.ones(2, device=device)
    step(x)
    with pytest.raises(Untraceable, match="compile: <lambda> cannot be a program"):
        step(x)
    assert x.tolist() == [1, 1]


def test_tensors_of_the_cpu_beside_those_of_the_gpu_run_without_a_program(device):
    here, there = tg.ones(2, device="cpu"), tg.ones(2, device=device)
    step = tg.compile(lambda: (here + 1, there + 1))
    for _ in range(3):
        assert [part.device.type for part in step()] == ["cpu", "cuda"]
    assert "there is on cuda" in step.explain().refusal and "here on the CPU" in step.explain().refusal


def test_on_the_cpu_a_function_that_makes_tensors_elsewhere_runs_without_a_program(device):
    step = tg.compile(lambda x: x.to(device) + tg.ones(2, device=device))
    with pytest.warns(UserWarning, match="moves a tensor to cuda"):
        for _ in range(3):
            assert step(tg.ones(2, device="cpu")).tolist() == [2, 2]


# -- memory ------------------------------------------------------------------------------------------


def test_results_are_the_callers(device):
    def step(x):
        y = x * 2
        return y, y[1:], x + 1

    step = tg.compile(step, fullgraph=True)
    kept = [step(tg.tensor([i, i + 1.0], device=device)) for i in range(5)]
    for i, (whole, part, other) in enumerate(kept):
        assert (whole.tolist(), part.tolist(), other.tolist()) == ([2 * i, 2 * i + 2], [2 * i + 2], [i + 1, i + 2])
    whole, part, _ = kept[-1]
    whole.add_(1)
    assert part.tolist() == [11], "parts of one memory stay parts of one"


def test_random_results_are_the_callers(device, monkeypatch):
    step = tg.compile(lambda: (tg.rand(4, device=device).reshape(2, 2), tg.arange(3.0, device=device)), fullgraph=True)
    for blocking in ("0", "1"):
        monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", blocking)
        kept = [step()[0] for _ in range(4)]
        assert len({tuple(value.reshape(-1).tolist()) for value in kept}) == 4


def test_a_graph_finds_its_memory_whatever_becomes_of_the_rest(device):
    _, _, step = training(*STEPS["Adam"])
    _, _, eager = training(*STEPS["Adam"])
    step = tg.compile(step, fullgraph=True)
    for i in range(8):
        assert step(*batch(i, device)).item() == pytest.approx(eager(*batch(i, device)).item(), rel=1e-5)
        gc.collect()
        tg.cuda.empty_cache()
        tg.full((1000,), float("nan"), device=device)
    assert form(step).startswith("CUDA graphs")


def test_a_replaced_parameter_makes_another_program(device):
    model = nn.Linear(2, 2)
    step, x = tg.compile(tg.no_grad()(lambda x: model(x)), fullgraph=True), tg.ones(1, 2, device=device)
    for i in range(6):
        if i == 3:
            model.weight = nn.Parameter(tg.ones(2, 2, device=device) * 5)
        with tg.no_grad():
            np.testing.assert_allclose(step(x).numpy(), model(x).numpy(), rtol=1e-6)
    assert step.explain().programs == 2 or len(step.explain().reasons) == 2


def test_parameters_that_share_memory(device):
    flat = tg.arange(6.0, device=device)
    a, b = flat[:3], flat[2:]

    def step():
        a.mul_(2)
        b.add_(a.sum())
        return flat.sum()

    expected, found = [], []
    for results, call in ((expected, step), (found, tg.compile(step, fullgraph=True))):
        flat.copy_(tg.arange(6.0, device=device))
        results += [call().item() for _ in range(4)]
    assert expected == found


# -- several GPUs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["cuda:0", "cuda:1"])
def test_a_program_is_for_one_gpu_whichever_is_current(where):
    if tg.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    tg.set_default_device(where)
    _, _, step = training(*STEPS["Adam"])
    _, _, eager = training(*STEPS["Adam"])
    step = tg.compile(step, fullgraph=True)
    other = "cuda:1" if where == "cuda:0" else "cuda:0"
    for i in range(4):
        with tg.cuda.device(other):
            loss = step(*batch(i, where))
        assert str(loss.device) == where
        assert loss.item() == pytest.approx(eager(*batch(i, where)).item(), rel=1e-5)
    assert form(step).startswith("CUDA graphs")
    double = tg.compile(lambda x: x * 2, fullgraph=True)
    for _ in range(3):
        for place in (where, other):
            assert str(double(tg.ones(2, device=place)).device) == place
    assert double.explain().programs == 2
    mixed = tg.compile(lambda x, y: (x + 1, y + 1))
    for _ in range(3):
        mixed(tg.ones(1, device=where), tg.ones(1, device=other))
    assert mixed.explain().refusal.endswith(f"x is on {where}, y on {other}")
