"""What notebooks show of tensors, modules, tapes and steppers."""

from __future__ import annotations

import base64
import html.parser
import re
import subprocess
import sys
import zlib
from html import escape

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn, study
from tinygrad_lite.notebook import heat_map, histogram

EVIL = "<script>alert('&')</script>"


class Reader(html.parser.HTMLParser):
    """The text of a piece of HTML, its tags, and what it refers to; fails if tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("img", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(shown):
    reader = Reader(shown._repr_html_())
    assert "script" not in reader.tags and all(link.startswith("data:image/png;base64,") for link in reader.links)
    return reader


def pixels_of(image):
    """The colours of a PNG that has one IDAT chunk and no filter: the parts that heat maps use of the format."""
    data = base64.b64decode(re.search(r"base64,([^\"]+)", image)[1])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        chunks[kind] = data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + chunks[kind]) == int.from_bytes(data[at + 8 + length : at + 12 + length], "big")
        at += 12 + length
    width, height = (int.from_bytes(chunks[b"IHDR"][i : i + 4], "big") for i in (0, 4))
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 4 * width)
    return lines[:, 1:].reshape(height, width, 4).tolist()


def test_a_heat_map_is_blue_above_zero_and_orange_below():
    blue, orange = [37, 105, 235], [232, 93, 4]
    found = pixels_of(heat_map(np.array([[2.0, -1.0], [0.0, -2.0]]), "h"))
    assert found == [[[*blue, 255], [*orange, 128]], [[*blue, 0], [*orange, 255]]]
    found = pixels_of(heat_map(np.array([np.nan, -np.inf, 0, 0], np.float32), "h"))
    assert found == [[[217, 70, 239, 255], [234, 179, 8, 255], [*blue, 0], [*blue, 0]]]


@pytest.mark.parametrize(
    "shape, seen", [((5,), (1, 5)), ((3, 4), (3, 4)), ((2, 3, 4), (6, 4)), ((300, 100), (60, 50)), ((130,), (3, 64)), ((70_000,), (61, 64))]
)
def test_a_heat_map_has_the_last_dim_to_the_right_and_at_most_64_pixels_a_side(shape, seen):
    assert np.shape(pixels_of(heat_map(np.ones(shape), "h"))) == (*seen, 4)


@pytest.mark.parametrize("array", [np.ones(()), np.ones((0, 3)), np.ones(1), np.array(["a", "b"])])
def test_what_has_nothing_to_see_has_no_picture(array):
    assert heat_map(array, "h") == "" and histogram((), "h") == "" and histogram((0, 0), "h") == ""


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_tensors_of_every_dtype_show_their_numbers_and_a_heat_map(dtype):
    x = tg.ones(3, 4, dtype=getattr(tg, dtype))
    reader = read(x)
    assert repr(x) in reader.text and dtype in reader.text and reader.tags.count("img") == 1
    assert "from 1 to 1" in reader.text or "from True to True" in reader.text


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 2, 2), (1000, 1000)])
def test_tensors_of_every_shape_are_shown_in_little_space(shape):
    x = tg.zeros(shape)
    assert str(shape) in read(x).text and len(x._repr_html_()) < 20_000


def test_a_tensor_shows_where_its_gradient_comes_from_and_the_gradient():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    y = (w * w).sum()
    assert "requires grad" in read(w).text and "grad_fn" in read(y).text and "grad" not in read(w.detach()).text
    y.backward()
    reader = read(w)
    assert reader.tags.count("img") == 2 and "mean 3, std 1, from 2 to 4" in reader.text
    assert "Parameter" in read(nn.Parameter(tg.ones(2))).text


def test_values_that_are_not_finite_are_counted():
    assert "mean 2, std 1, from 1 to 3, 2 not finite" in read(tg.tensor([1.0, np.nan, np.inf, 3.0])).text
    assert "no finite values" in read(tg.tensor([np.nan, np.nan])).text


def test_a_module_shows_its_outline():
    model = nn.Sequential(nn.Linear(2, 3), nn.ModuleDict({"a": nn.Tanh(), EVIL: nn.Dropout(0.5)}))
    reader = read(model)
    assert "9 parameters" in reader.text and "(in_features=2, out_features=3, bias=True)" in reader.text
    assert reader.tags.count("details") == 2 and EVIL in reader.text and escape(EVIL) in model._repr_html_()


def test_settings_of_a_module_are_escaped():
    class Named(nn.Module):
        def extra_repr(self):
            return EVIL

    assert EVIL in read(Named()).text


def test_the_outline_of_a_huge_model_ends():
    model = nn.Sequential(*(nn.Sequential(nn.Tanh(), nn.Tanh()) for _ in range(200)))
    reader = read(model)
    assert "and 401 more modules" in reader.text and len(model._repr_html_()) < 60_000


@pytest.fixture
def tape():
    x = tg.tensor(np.linspace(-1, 1, 12).reshape(3, 4), requires_grad=True)
    with study.record() as tape:
        h = x.exp()
        loss = (h * h).sum()
        loss.backward()
    return tape


def test_a_tape_is_a_table(tape):
    reader = read(tape)
    assert "4 entries · backward pass of 3 steps" in reader.text and reader.tags.count("tr") == 5
    assert all(entry.operation in reader.text for entry in tape)
    tape["loss"].name = EVIL
    assert EVIL in read(tape).text


def test_the_table_of_a_long_tape_leaves_out_its_middle():
    x = tg.ones(2, requires_grad=True)
    with study.record() as tape:
        for _ in range(500):
            x = x + 1
    reader = read(tape)
    assert reader.tags.count("tr") == 82 and "421 more" in reader.text and "no backward pass" in reader.text


def test_a_stepper_shows_where_it_is(tape):
    stepper = tape.stepper()
    assert "before the first of 3 steps" in read(stepper).text
    stop = stepper.goto("h")
    reader = read(stop)
    assert stop._repr_html_() == stepper._repr_html_()
    assert "step 3 of 3" in reader.text and "%1 h = exp" in reader.text and "h = x.exp()" in reader.text and "g * out" in reader.text
    assert reader.tags.count("img") == 3  # what arrives, the result, which the rule names too, and the contribution
    stop.entry.name = stop.entry.saved["other"] = EVIL
    assert EVIL in read(stop).text
    stepper.next()
    assert "after the last of 3 steps" in read(stepper).text


def test_a_stop_shows_sums_and_the_parts_of_several_results():
    x = tg.ones(6, requires_grad=True)
    with study.record() as tape:
        a, _ = x.split(3)
        (a * a).sum().backward()
    stepper = tape.stepper()
    text = read(stepper.run_until("mul")).text
    assert "contribution (3,)" in text and "has so far (3,)" in text
    assert "g, which arrives [0] (3,)" in read(stepper.run_until("split")).text


def test_large_values_of_a_stop_are_histograms():
    x = tg.randn(50, 50, requires_grad=True)
    with study.record() as tape:
        x.tanh().sum().backward()
    reader = read(tape.stepper().run_until("tanh"))
    assert reader.tags.count("svg") == 3 and "img" not in reader.tags


def test_importing_the_package_and_its_modules_does_not_import_what_notebooks_need():
    program = (
        "import sys, tinygrad_lite.nn; print([m for m in sys.modules if m.startswith(('tinygrad_lite.notebook', 'tinygrad_lite.study'))])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"
