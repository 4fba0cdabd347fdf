"""Without CuPy or a GPU, requests for a GPU raise; nothing falls back to the CPU."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import sys, types
{before}
import tinygrad_lite as tg
assert not tg.cuda.is_available() and tg.cuda.device_count() == 0 and tg.cuda.memory_allocated() == 0
tg.cuda.empty_cache(); tg.cuda.manual_seed(0); tg.manual_seed(0)
for ask in (
    lambda: tg.zeros(2, device="cuda"), lambda: tg.tensor([1.0], device="cuda:1"), lambda: tg.ones(2).cuda(),
    lambda: tg.nn.Linear(2, 2).to("cuda"), lambda: tg.rand(2, device="cuda"), lambda: tg.arange(2, device="cuda"),
    lambda: tg.set_default_device("cuda"), lambda: tg.cuda.current_device(), lambda: tg.cuda.synchronize(),
):
    try:
        ask()
    except {kind} as error:
        assert {message!r} in str(error), error
    else:
        raise AssertionError("nothing was refused")
assert not tg.ones(2).is_cuda
"""
BROKEN = """
cupy = sys.modules["cupy"] = types.ModuleType("cupy")
def fails(): raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
cupy.ndarray = type("ndarray", (), {})
cupy.cuda = types.SimpleNamespace(
    runtime=types.SimpleNamespace(getDeviceCount=fails), get_allocator=lambda: None, set_allocator=lambda a: None)
"""
CASES = {
    "no CuPy": ('sys.modules["cupy"] = None', "ImportError", "needs CuPy, which is not installed: pip install"),
    "no driver": (BROKEN, "RuntimeError", "CuPy is installed, but no GPU can be used: cudaErrorInsufficientDriver"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_gpu_is_asked_for_in_vain(case):
    before, kind, message = CASES[case]
    program = ASK.format(before=before, kind=kind, message=message)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not found.returncode, found.stderr
