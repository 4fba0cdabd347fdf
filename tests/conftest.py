"""Options and fixtures of the whole suite.

`--device=cuda` (or `-m gpu`) runs it on a GPU, `--device=standin` on a stand-in for one that works on any machine
(tests/standin/): new tensors are created there, and the helpers below bring results back, so that tests need no extra
lines. `standin:1` is the second GPU, which is not the current one.
"""

from __future__ import annotations

import functools
import os
import shutil

# Before NumPy is imported: test processes with several BLAS threads each wait for one another.
# Three epochs of the digits took 12 s that way beside other work, 0.4 s with one thread.
# (OMP_NUM_THREADS would also set the threads of the library itself, which the tests need.)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")  # PyTorch's

import numpy as np
import pytest


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="what the suite runs on: cpu, cuda, cuda:1, standin or standin:1")


def pytest_configure(config):
    name = config.getoption("--device")
    if name == "cpu" and config.getoption("markexpr") == "gpu":
        config.option.device = name = "cuda"
    if name == "cpu":
        return
    if name.startswith("standin"):
        from tests.standin import install

        install()
    import tinygrad_lite as tg

    if tg.cuda.is_available():
        on_gpu(name.replace("standin", "cuda"))


def on_gpu(device):
    """Make every test create its tensors on `device` and read them as if they were on the CPU."""
    import tinygrad_lite as tg

    os.environ["CUDA_LAUNCH_BLOCKING"] = "1"  # the call itself raises, not a later one
    tg.set_default_device(device)
    from_numpy, numpy = tg.from_numpy, tg.Tensor.numpy
    tg.from_numpy = lambda array: from_numpy(array).to(device)
    tg.Tensor.numpy = lambda self, *, force=False: numpy(self.cpu() if self.node is None else self, force=force)
    for name in ("assert_allclose", "assert_array_equal", "assert_equal"):
        setattr(np.testing, name, on_host(getattr(np.testing, name)))


def on_host(compare):
    """`compare` for arrays on the GPU too."""
    from tinygrad_lite.arrays import is_array, to_numpy

    @functools.wraps(compare)
    def call(actual, desired, *args, **kwargs):
        actual, desired = (to_numpy(a) if is_array(a) else a for a in (actual, desired))
        return compare(actual, desired, *args, **kwargs)

    return call


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config, items):
    device = config.getoption("--device")
    if device == "cpu":
        return
    import tinygrad_lite as tg
    from tests.cpu_only import REASONS

    for item in items:
        item.add_marker("gpu")
        reason = next((why for what, why in REASONS.items() if what in item.nodeid), None)
        if reason := reason or (None if tg.cuda.is_available() else "there is no GPU"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def made_on_the_gpu(request):
    """Create new tensors there in every test, whatever default the previous test set."""
    name = request.config.getoption("--device")
    if name != "cpu":
        import tinygrad_lite as tg

        if tg.cuda.is_available():
            tg.set_default_device(name.replace("standin", "cuda"))


@pytest.fixture(scope="session")
def device(request):
    return request.config.getoption("--device").replace("standin", "cuda")


@pytest.fixture
def asynchronous(monkeypatch):
    """Without CUDA_LAUNCH_BLOCKING, so that a program may become CUDA graphs."""
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING", raising=False)


@pytest.fixture
def draw():
    """A NumPy generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def loops_of_its_own(tmp_path, monkeypatch):
    """An empty folder for the compiled loops of a test."""
    monkeypatch.setenv("TINYGRAD_LITE_CACHE", str(tmp_path / "loops"))


@pytest.fixture
def both_forms(monkeypatch):
    """The results of a function with and without compiled loops."""
    from tinygrad_lite.arrays import row_loops
    from tinygrad_lite.arrays.kernels import attention, attention_loops, correlation_loops, plane_loops

    def call(function):
        compiled = function()
        with monkeypatch.context() as without:
            for module in (attention, attention_loops, correlation_loops, plane_loops, row_loops):
                without.setattr(module, "available", lambda: False)
            return [compiled, function()]

    return call


@pytest.fixture(scope="module")  # not for longer: while it is open, other tests can run no event loop of their own
def browser():
    """Chromium, driven by Playwright; skips where they are not installed."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """A function that opens the page at an address; no page may raise an error, write to the console or ask the network."""
    errors, context = [], browser.new_context(viewport={"width": 1400, "height": 900})

    def open_page(address):
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.on("request", lambda request: errors.append(request.url) if request.url.startswith("http") else None)
        page.goto(address)
        return page

    yield open_page
    context.close()
    assert not errors
