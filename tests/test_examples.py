"""The examples run, and learn."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
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


class TestFashionMNIST:
    """Item 82: a convolutional network."""

    def test_it_learns_from_local_files(self, tmp_path):
        fashion = example("fashion_mnist")
        for name, images, labels in digits_in_mnist_format():
            for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
                sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
                (tmp_path / f"{name}-{kind}-ubyte").write_bytes(bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes())
        arguments = ["--data", str(tmp_path), "--epochs", "2", "--limit", "1000", "--batch-size", "32", "--out", str(tmp_path)]
        assert fashion.main(arguments) > 0.9
        assert (tmp_path / "fashion_mnist.png").stat().st_size > 10_000
        fashion.network().load_state_dict(tg.load(tmp_path / "fashion_mnist.npz"))


def digits_in_mnist_format():
    """The bundled digits as images of 28 x 28 bytes: (name, images, labels) for training and for testing."""
    x, y, x_test, y_test = tg.datasets.digits()
    for name, images, labels in (("train", x, y), ("t10k", x_test, y_test)):
        larger = np.zeros((len(images), 28, 28), np.uint8)
        larger[:, 2:26, 2:26] = (images.numpy().reshape(-1, 8, 8) * 255).astype(np.uint8).repeat(3, axis=1).repeat(3, axis=2)
        yield name, larger, labels.numpy().astype(np.uint8)


class TestGPT:
    SMALL = ("--steps", "150", "--layers", "2", "--width", "64", "--context", "32", "--lr", "0.003", "--characters", "40")

    def test_it_learns_more_than_how_frequent_letters_are(self, tmp_path, capsys):
        gpt = example("gpt")
        text = gpt.NOVEL.read_text()
        shares = np.unique(list(text), return_counts=True)[1] / len(text)
        assert gpt.main([*self.SMALL, "--out", str(tmp_path)]) < -(shares * np.log(shares)).sum() - 0.2
        assert (tmp_path / "gpt.png").stat().st_size > 5_000
        assert "nats per character held back" in capsys.readouterr().out

    def test_it_does_not_see_what_comes(self):
        gpt = example("gpt")
        model = gpt.GPT(characters=11, context=8, layers=2, heads=2, width=12)
        piece = tg.randint(11, (1, 8))
        before = model(piece)
        piece[0, 5] = (piece[0, 5] + 1) % 11
        changed = ((model(piece) - before).abs() > 1e-5).any(dim=2)  # BLAS may round equal rows differently
        assert changed[0].tolist() == [False] * 5 + [True] * 3


class TestNames:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_it_learns_spelling_and_invents_names(self, tmp_path, capsys, cell):
        arguments = ["--cell", cell, "--epochs", "1", "--hidden", "48", "--lr", "0.01", "--count", "5", "--out", str(tmp_path)]
        assert example("names_rnn").main(arguments) < 2.45  # 2.84 by the letters' frequencies alone
        assert capsys.readouterr().out.split("invented:")[1].count(",") == 4


class TestVAE:
    """Item 82: an autoencoder."""

    def test_it_learns_and_draws_the_plane(self, tmp_path):
        assert example("vae").main(["--epochs", "4", "--out", str(tmp_path)]) < 28  # 44.4 before
        assert (tmp_path / "vae.png").stat().st_size > 20_000


class TestResNet:
    """Item 82: a residual network."""

    def test_it_reads_most_digits_after_four_epochs(self, tmp_path):
        arguments = ["--blocks", "1", "--width", "8", "--epochs", "4", "--out", str(tmp_path)]
        assert example("resnet").main(arguments) > 0.85

    def test_the_summary_names_every_layer(self, capsys):
        assert example("resnet").main(["--summary"]) is None
        assert "174,970" in capsys.readouterr().out


class TestStudy:
    def test_the_walk_through_an_mlp_ends_at_the_gradients_and_leaves_its_page(self, tmp_path, capsys):
        assert example("study_mlp").main(["--operation", "tanh", "--out", str(tmp_path)]) == (2, True)
        printed = capsys.readouterr().out
        assert printed.count("g * (1 - out * out)") == 2 and "h2 = self.second(h1).tanh()" in printed
        assert "<title>Backward of loss</title>" in (tmp_path / "backward.html").read_text()

    def test_the_nan_is_found_and_cured(self, capsys):
        error, loss = example("study_nan").main(["--steps", "60"])
        assert (error.direction, error.operation) == ("forward", "log") and "variance.log()" in str(error)
        assert loss < 0 and "without care" in capsys.readouterr().out

    def test_the_forget_gate_decides_how_far_back_the_gradient_reaches(self, tmp_path):
        found = example("study_lstm").main(["--steps", "30", "--bias", "0", "3", "--out", str(tmp_path)])
        (vanished, cause), (level, nothing) = found[0.0], found[3.0]
        assert vanished < 1e-6 < 0.1 < level and (cause, nothing) == ("vanishing", "")
        assert (tmp_path / "lstm.png").stat().st_size > 10_000
