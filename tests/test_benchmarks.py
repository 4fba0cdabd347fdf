"""The benchmarks run and print what they promise. Nothing here depends on how long anything takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lite as tg
from benchmarks import report
from benchmarks.__main__ import arguments, main
from benchmarks.frameworks import FRAMEWORKS, OURS, environment, installed
from benchmarks.products import products
from benchmarks.profiling import observed
from benchmarks.programs import MODELS, WORKLOADS
from benchmarks.sweeps import SWEEPS
from benchmarks.turns import Result, measure

ROOT = Path(__file__).parents[1]
QUICK = ["--rounds", "1", "--seconds", "0.01"]
HERE = [pytest.param(name, marks=pytest.mark.skipif(not installed(name), reason=f"{name} is not installed")) for name in FRAMEWORKS]


class TestWorkers:
    @pytest.mark.parametrize("name", HERE)
    def test_every_framework_learns_tiny(self, name):
        measured = measure("tiny", [name], rounds=1, seconds=0.01, device="cpu")
        if name not in measured and name not in OURS:
            pytest.skip("it stopped: some peers need a C compiler")
        result = measured[name]
        assert result.losses[-1] < result.losses[0]
        assert result.times and result.imported > 0 and result.first_steps >= result.first > 0
        assert result.memory > 10_000_000

    @pytest.mark.parametrize("workload", WORKLOADS)
    @pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
    def test_the_steps_of_a_workload_return_falling_losses(self, workload, compiled):
        if workload.startswith("large"):
            pytest.skip("400 MB")
        step = WORKLOADS[workload](tg, "cpu")
        step = tg.compile(step) if compiled else step
        losses = [step().item() for _ in range(4)]
        assert losses[-1] < losses[0]

    def test_a_workload_that_a_peer_does_not_have_is_left_out(self):
        assert set(measure("gpt", ["numpy"], rounds=1, seconds=0.01, device="cpu")) == set()

    def test_a_peer_that_takes_too_long_is_left_out_and_named(self, capfd):
        assert measure("tiny", ["numpy"], rounds=1, seconds=0.01, device="cpu", limit=0.001) == {}
        assert "numpy tiny" in capfd.readouterr().err

    def test_blas_variables_are_unset_and_loops_are_chosen_by_name(self, monkeypatch):
        monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
        assert "OPENBLAS_CORETYPE" not in environment()
        assert {name: environment(name)["TINYGRAD_LITE_FAST"] for name in OURS} == dict(zip(OURS, "0101"))

    def test_a_cold_start_has_a_cache_folder_of_its_own(self, tmp_path):
        assert environment("fast", str(tmp_path))["TINYGRAD_LITE_CACHE"] == str(tmp_path)


class TestCommands:
    def test_a_workload_prints_a_line_a_framework_and_a_legend(self, capsys):
        main(["tiny", "--against", "compiled", "numpy", *QUICK])
        header, *lines = capsys.readouterr().out.splitlines()
        assert header.split()[:5] == ["tiny", "median", "us", "best", "us"]
        assert [line.split()[0] for line in lines[:3]] == ["ours", "compiled", "numpy"]
        assert all(len(line.split()) == 9 for line in lines[:3])
        assert any(line.startswith("MB ") for line in lines)

    def test_an_unknown_workload_is_refused(self, capsys):
        with pytest.raises(SystemExit):
            arguments(["huge"])
        assert "unknown workload huge" in capsys.readouterr().err

    def test_a_sweep_prints_a_line_a_point(self, capsys, monkeypatch):
        monkeypatch.setitem(SWEEPS, "depth", {"depth-10": SWEEPS["depth"]["depth-10"]})
        main(["--sweep", "depth", "--against", "compiled", *QUICK])
        header, line = capsys.readouterr().out.splitlines()
        assert header.split() == ["eager", "compiled"]
        assert re.fullmatch(r"depth-10 +\d+ us +\d+ us", line)

    def test_a_profile_names_operations_and_adds_up(self):
        command = [sys.executable, "-m", "benchmarks", "--profile", "tiny", "--against", "--seconds", "0.05"]
        out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        shares = {line[:44].rstrip(): float(line.split()[-1][:-1]) for line in out.splitlines() if line.endswith("%")}
        assert shares["forward"] + shares["backward"] + shares["update"] == pytest.approx(100, abs=0.2)
        assert {"  linear layers (product and bias)", "  tanh", "  SGD.step", "products alone, backward"} <= set(shares)

    def test_the_table_of_the_readme_is_made_from_results(self, tmp_path, monkeypatch):
        def result(*times):
            return Result(0.1, 0.2, 0.3, [2.0, 1.0], list(times), 50_000_000)

        monkeypatch.setattr(report, "versions", lambda names: "PyTorch 9.9")  # which need not be installed
        made = report.markdown({"tiny": {"ours": result(1e-3, 1e-3), "numpy": result(5e-4), "pytorch": result(4e-3)}})
        assert "| tiny: 2-16-16-1, tanh | 4 | 0.25 | 0.12 |" in made
        assert "| PyTorch | 0.1 | 0.3 | 50 |" in made
        page = tmp_path / "README.md"
        page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
        report.write(made, page)
        assert page.read_text() == f"before\n{made}\nafter\n"

    def test_the_readme_has_a_place_for_the_table(self):
        text = report.README.read_text()
        assert text.count(report.BEGIN) == text.count(report.END) == 1


class TestProfiles:
    @pytest.mark.parametrize("name", MODELS)
    def test_observing_a_step_counts_its_operations_both_ways(self, name):
        watch = observed(*MODELS[name](tg, "cpu"))
        forward, backward = ({key[1]: n for key, n in watch.calls.items() if key[0] == part} for part in ("forward", "backward"))
        assert backward["linear"] == forward["linear"] > 0
        assert watch.products["backward"].total() >= watch.products["forward"].total() > 0

    def test_the_products_of_a_linear_layer(self):
        x, w = np.ones((5, 2, 4)), np.ones((3, 4))
        assert products("linear", (x, w, None), x @ w.T, (x, w)) == ([(1, 10, 4, 3)], [(1, 10, 3, 4), (1, 4, 10, 3)])
        assert products("linear", (x, w, None), x @ w.T, (w,)) == ([(1, 10, 4, 3)], [(1, 4, 10, 3)])
        assert products("relu", (x,), x, (x,)) == ([], [])

    def test_the_products_of_a_convolution_have_its_floating_operations(self):
        watch = observed(*MODELS["cnn"](tg, "cpu"))
        forward = 2 * (64 * 28 * 28 * 9 * 16 + 64 * 14 * 14 * 144 * 32 + 64 * 1568 * 10)
        assert sum(2 * np.prod(product) * count for product, count in watch.products["forward"].items()) == forward
