"""What importing the package changes in the process, and how to prevent it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tinygrad_lite.arrays.blas import library

# Prints whether the C library takes 16 MiB from the system instead of freed memory, the number of threads
# (including BLAS's), and what has changed in the environment.
PROGRAM = """
import ctypes, json, os, time
import numpy
x = numpy.ones((500, 500))
x @ x
libc, environment = ctypes.CDLL(None), dict(os.environ)

class Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

libc.mallinfo2.restype, libc.malloc.restype = Counts, ctypes.c_void_p
{statement}
before = libc.mallinfo2().hblks
libc.malloc(16 << 20)
from_system = libc.mallinfo2().hblks > before
for _ in range(100):  # a thread that was stopped may take its time to go
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        time.sleep(0.02)
print(json.dumps([from_system, threads, dict(os.environ) == environment]))
"""


def state_after(statement, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENBLAS", "MALLOC", "TINYGRAD_LITE"))}
    command = [sys.executable, "-c", PROGRAM.format(statement=statement)]
    run = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=False)
    if "mallinfo2" in run.stderr:
        pytest.skip("this C library does not tell how it allocates")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the process is looked at through /proc")


@needs_linux
def test_tinygrad_lite_tune_0_leaves_allocator_and_threads_alone():
    untouched = state_after("")
    assert untouched[0], "the test sees no difference"
    assert state_after("import tinygrad_lite, tinygrad_lite.nn, tinygrad_lite.optim", TINYGRAD_LITE_TUNE="0") == untouched


@needs_linux
def test_tuning_happens_at_import_or_when_it_is_asked_for():
    by_default = state_after("import tinygrad_lite")
    restarts = hasattr(library(), "blas_thread_shutdown_")  # the OpenBLAS of NumPy 2.5 does not export it
    threads = 1 if restarts else state_after("")[1]
    assert by_default == [False, threads, True], "freed memory is kept, and BLAS's threads start anew"
    assert state_after("import tinygrad_lite as tg; tg.tune()", TINYGRAD_LITE_TUNE="0") == by_default


@needs_linux
def test_tuning_twice_is_tuning_once():
    count = state_after("import tinygrad_lite as tg; x @ x")[1]
    assert state_after("import tinygrad_lite as tg; x @ x; tg.tune(); tg.tune()")[1] == count


SETTINGS = """
import faulthandler, gc, locale, os, random, signal, sys, threading, warnings
import numpy as np

def settings():
    return {
        "environment": dict(os.environ), "NumPy's errors": np.geterr(), "NumPy's printing": np.get_printoptions(),
        "warnings": list(warnings.filters), "signals": [signal.getsignal(s) for s in signal.valid_signals()],
        "collector": (gc.isenabled(), gc.get_threshold(), gc.callbacks[:]), "recursion": sys.getrecursionlimit(),
        "switching": sys.getswitchinterval(), "hooks": (sys.excepthook, sys.displayhook, threading.excepthook),
        "tracing": (sys.gettrace(), sys.getprofile()), "faults": faulthandler.is_enabled(), "locale": locale.setlocale(locale.LC_ALL),
        "random numbers": (random.getstate(), str(np.random.get_state())), "path": sys.path[:], "threads": threading.active_count(),
    }

before = settings()
import tinygrad_lite as tg
for name in dir(tg):
    getattr(tg, name)
after = settings()
print([name for name in before if before[name] != after[name]])
"""


def test_importing_the_package_changes_no_other_setting_of_the_process():
    run = subprocess.run([sys.executable, "-c", SETTINGS], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "[]\n"), run.stderr
