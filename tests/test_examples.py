"""The examples run, and learn."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import tinygrad_lite as tg

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name):
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestDigits:
    def test_it_reads_97_in_100_and_leaves_its_picture_and_weights(self, tmp_path, capsys):
        digits = example("digits")
        assert digits.main(["--out", str(tmp_path)]) >= 0.97
        assert (tmp_path / "digits.png").stat().st_size > 10_000
        printed = capsys.readouterr().out
        assert printed.count("epoch ") >= 30
        model = digits.network()
        model.load_state_dict(tg.load(tmp_path / "digits.npz"))
        assert digits.accuracy(model, *digits.digits()[2:]) >= 0.97

    @pytest.mark.parametrize("optimizer, lr", [("nesterov", "0.05"), ("adam", "0.002"), ("adamw", "0.002")])
    def test_every_optimizer_learns(self, tmp_path, optimizer, lr):
        arguments = ["--optimizer", optimizer, "--lr", lr, "--epochs", "5", "--out", str(tmp_path)]
        assert example("digits").main(arguments) > 0.9

    def test_one_seed_gives_one_result(self, tmp_path):
        digits = example("digits")
        runs = [digits.main(["--epochs", "2", "--seed", "7", "--out", str(tmp_path)]) for _ in range(2)]
        assert runs[0] == runs[1]
