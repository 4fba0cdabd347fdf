"""The page of a training that is watched: as a file, and in Chromium where Playwright and Chromium are installed."""

from __future__ import annotations

import html.parser
import json

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, optim, study
from tinygrad_lite.study import training_page

EVIL = "</script><img src=x onerror=\"document.title='stolen'\">&amp;{{data}}"


class Training:
    """A network that trains when asked to."""

    def __init__(self, **settings):
        tg.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1)
        self.batch = tg.randn(16, 3), tg.randint(2, (16,))
        self.watched = study.watch(self.model, self.optimizer, **settings)

    def steps(self, count):
        x, y = self.batch
        for _ in range(count):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(x), y).backward()
            self.optimizer.step()


@pytest.fixture
def training():
    training = Training(every=2)
    yield training
    training.watched.close()


def data_of(path):
    """The JSON of a page, found as a browser finds it: the text up to the next `</script`."""
    return json.loads(path.read_text(encoding="utf-8").split('<script id="data" type="application/json">')[1].partition("</script")[0])


# -- the file --------------------------------------------------------------------------------------


def test_the_page_is_one_file_that_asks_the_network_for_nothing(training, tmp_path):
    training.steps(3)
    path = training.watched.page(tmp_path / "training.html")
    text, found = path.read_text(encoding="utf-8"), []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend((tag, name) for name, value in attrs if name in ("src", "href", "srcset", "action"))

    Reader().feed(text)
    assert path == tmp_path / "training.html" and "default-src 'none'" in text and "{{" not in text
    assert not found and not any(way in text for way in ("@import", "url(", "fetch(", "XMLHttpRequest", "import("))


def test_the_data_are_the_history(training, tmp_path):
    training.steps(5)
    watched = training.watched
    data = data_of(watched.page(tmp_path / "training.html"))
    assert data["steps"] == [0, 2, 4] and data["live"] and data["title"] == "Training of Sequential"
    assert data["loss"] == pytest.approx([seen.loss for seen in watched.history], rel=1e-4)
    assert [layer["name"] for layer in data["layers"]] == list("01234")
    assert data["layers"][2]["curves"]["ratio"] == pytest.approx(watched.curve("2", "ratio")[1], rel=1e-4)
    assert data["layers"][1]["curves"]["ratio"] == [None] * 3 and data["report"] is None


def test_the_page_is_written_again_while_the_training_lasts_and_when_it_ends(training, tmp_path):
    path = training.watched.page(tmp_path / "training.html", seconds=0)
    (page,) = training.watched._sinks
    assert data_of(path)["steps"] == []
    for count in (1, 2):
        page.due = 0
        training.steps(2)
        assert len(data_of(path)["steps"]) == count
    page.due = float("inf")  # it was written a moment ago
    training.steps(2)
    assert len(data_of(path)["steps"]) == 2
    training.watched.close()
    assert len(data_of(path)["steps"]) == 3 and not data_of(path)["live"] and list(tmp_path.iterdir()) == [path]


def test_a_page_is_not_written_more_often_than_asked_for_nor_than_writing_allows(training, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(training_page.time, "monotonic", lambda: now[0])
    training.watched.page(tmp_path / "a.html", seconds=5)
    page = training.watched._sinks[0]
    assert page.due == 1005
    times = iter([1010.0, 1010.5])
    monkeypatch.setattr(training_page.time, "monotonic", lambda: next(times))
    page.write(training.watched)
    assert page.due == 1010.5 + 50 * 0.5


def test_the_page_of_a_long_training_of_many_layers_stays_small(tmp_path):
    tg.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(200)])
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with study.watch(model, optimizer, every=1) as watched:
        model(tg.ones(1, 2)).sum().backward()
        optimizer.step()
    watched.history *= 1000
    path = watched.page(tmp_path / "training.html")
    assert len(data_of(path)["steps"]) == 50 and path.stat().st_size < 2_000_000


def test_what_is_not_finite_is_written_as_text(training, tmp_path):
    training.batch[0][0, 0] = float("nan")
    training.steps(1)
    data = data_of(training.watched.page(tmp_path / "training.html"))
    assert data["loss"] == ["nan"] and data["words"][0].startswith("0: NaN or infinite: 8 outputs, ")


def test_names_are_escaped(training, tmp_path):
    training.model.add_module("<img>", nn.Tanh())
    training.steps(3)
    training.watched.layers = {EVIL: "<u>kind</u>", **training.watched.layers}
    path = training.watched.page(tmp_path / "training.html")
    text = path.read_text(encoding="utf-8")
    assert "<img" not in text and "<u>" not in text and data_of(path)["layers"][0]["name"] == EVIL


@pytest.mark.parametrize("path, settings, kind, message", [
    (3, {}, TypeError, "path must be a str or a path, got int"),
    ("a.html", {"seconds": -1}, ValueError, "seconds must be a number from 0 on, got -1"),
    ("a.html", {"seconds": "5"}, ValueError, "seconds must be a number from 0 on, got '5'"),
])  # fmt: skip
def test_a_page_that_cannot_be_is_refused(training, tmp_path, monkeypatch, path, settings, kind, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=f"page: {message}"):
        training.watched.page(path, **settings)
    assert not list(tmp_path.iterdir()) and not training.watched._sinks


def test_a_folder_that_is_not_there_is_an_error_at_once(training, tmp_path):
    with pytest.raises(FileNotFoundError):
        training.watched.page(tmp_path / "none" / "a.html")
    training.steps(3)
    assert len(training.watched.history) == 2


# -- in a browser ----------------------------------------------------------------------------------


@pytest.fixture
def opened(visit):
    """A function that opens a page."""
    return lambda path: visit(path.as_uri())


def cells(page, layer):
    row = page.locator("#layers tbody tr").filter(has=page.get_by_role("button", name=layer, exact=True))
    return row.locator("td").all_text_contents()


def test_the_table_and_the_curves_show_the_numbers(training, tmp_path, opened):
    training.steps(9)
    page = opened(training.watched.page(tmp_path / "training.html"))
    layer = training.watched.history[-1].layers["0"]
    assert page.locator("#headline").text_content().startswith("step 8, loss ")
    shown = cells(page, "0")
    assert shown[0] == "Linear" and [float(shown[i]) for i in (1, 2, 7, 8, 9)] == pytest.approx(
        [layer.mean, layer.std, layer.gradient, layer.weight, layer.ratio], rel=6e-3
    )
    assert cells(page, "1")[3] == f"{100 * training.watched.history[-1].layers['1'].zero:.3g} %" and cells(page, "1")[9] == ""
    counts = {field: page.locator(f"[data-field={field}] path").count() for field in ("loss", "gradient", "saturated", "std")}
    assert counts == {"loss": 1, "gradient": 3, "saturated": 2, "std": 5}


def test_curves_go_where_the_values_are(training, tmp_path, opened):
    training.steps(21)
    page = opened(training.watched.page(tmp_path / "training.html"))
    for field, logarithmic in (("loss", False), ("ratio", True)):
        path = page.locator(f"[data-field={field}] path").first.get_attribute("d")
        points = np.array([list(map(float, point.split())) for point in path[1:].split("L")])
        values = np.array([seen.loss for seen in training.watched.history] if field == "loss" else training.watched.curve("0", "ratio")[1])
        heights = -np.log(values) if logarithmic else -values
        assert len(points) == 11 and np.corrcoef(points[:, 1], heights)[0, 1] > 0.9999 and np.ptp(np.diff(points[:, 0])) < 0.3


def test_a_pointer_over_a_chart_shows_the_step(training, tmp_path, opened):
    training.steps(9)
    page = opened(training.watched.page(tmp_path / "training.html"))
    drawing = page.locator("[data-field=gradient] svg")
    box = drawing.bounding_box()
    drawing.hover(position={"x": box["width"] - 8, "y": box["height"] / 2})
    lines = page.locator("#tip p").all_text_contents()
    assert lines[0] == "step 8" and [line[0] for line in lines[1:]] == ["0", "2", "4"]
    assert float(lines[1][1:]) == pytest.approx(training.watched.history[-1].layers["0"].gradient, rel=6e-3)
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden()


def test_a_layer_is_shown_alone_and_stays_so_when_the_page_reloads(training, tmp_path, opened):
    training.steps(5)
    page = opened(training.watched.page(tmp_path / "training.html"))
    page.get_by_role("button", name="2", exact=True).click()
    lit = page.locator("[data-field=gradient] path.lit")
    assert lit.count() == 1 and lit.get_attribute("data-layer") == "2" and page.locator("tr.lit").count() == 1
    page.reload()
    assert page.locator("[data-field=gradient].chosen path.lit").get_attribute("data-layer") == "2"
    page.keyboard.press("Escape")
    assert page.locator(".lit").count() == 0 and page.locator(".chosen").count() == 0


def test_the_page_reloads_itself_until_the_training_ends(training, tmp_path, opened):
    path = training.watched.page(tmp_path / "training.html", seconds=0.1)
    page = opened(path)
    assert "No step has been watched yet." in page.locator("#layers").text_content()
    assert "training, every 2 steps" in page.locator("#state").text_content()
    training.watched._sinks[0].due = 0
    training.steps(1)
    page.locator("#headline", has_text="step 0").wait_for()
    training.steps(8)
    training.watched.close()
    page.locator("#state", has_text="ended").wait_for()
    assert page.locator("#headline").text_content().startswith("step 8") and page.locator("#pause").is_hidden()


def test_a_paused_page_does_not_reload(training, tmp_path, opened):
    path = training.watched.page(tmp_path / "training.html", seconds=0.1)
    page = opened(path)
    page.keyboard.press("p")
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    training.steps(3)
    training.watched._sinks[0].write(training.watched)
    page.wait_for_timeout(2500)
    assert page.locator("#headline").text_content() == ""
    page.locator("#pause").click()
    page.locator("#headline", has_text="step 2").wait_for()


def test_an_old_page_of_a_training_says_so(training, tmp_path, opened, monkeypatch):
    monkeypatch.setattr(training_page.time, "time", lambda real=training_page.time.time: real() - 600)
    page = opened(training.watched.page(tmp_path / "training.html"))
    assert "no news for 10 min: it may have ended" in page.locator("#state").text_content()


def test_words_and_the_diagnosis_are_shown(training, tmp_path, opened):
    with tg.no_grad():
        training.model[0].bias.sub_(1000)
    training.steps(1)
    training.watched.diagnose(F.cross_entropy, [training.batch])
    page = opened(training.watched.page(tmp_path / "training.html"))
    assert "1: 100% of the units have been 0 for every sample so far" in page.locator("#words").text_content()
    captions = page.locator("#report caption").all_text_contents()
    assert [caption[0] for caption in captions] == list("ITSLO")
    row = page.locator("#report tr", has_text="parameters p").locator("td").nth(1)
    assert row.text_content() == "122" and "No validation batches were given." in page.locator("#report").text_content()


def test_dark_and_light_follow_the_system_and_the_button(training, tmp_path, opened):
    page = opened(training.watched.page(tmp_path / "training.html"))
    background = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(background)
    page.locator("#theme").click()
    assert page.evaluate(background) == dark != light
    page.reload()
    assert page.evaluate(background) == dark
    page.locator("#theme").click()
    assert page.evaluate(background) == light


def test_every_control_and_picture_has_a_name_for_screen_readers(training, tmp_path, opened):
    training.steps(3)
    page = opened(training.watched.page(tmp_path / "training.html"))
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, [role=img]")].filter((element) =>
           !(element.getAttribute("aria-label") || element.textContent.trim())).map((element) => element.outerHTML)"""
    )
    assert unnamed == []
    loss = training.watched.history[-1].loss
    assert page.locator("[data-field=loss] svg").get_attribute("aria-label") == f"loss, last: loss {float(f'{loss:.3g}')}"


def test_markup_in_names_is_shown_as_text(training, tmp_path, opened):
    training.steps(3)
    training.watched.layers = {EVIL: "<u>kind</u>", **training.watched.layers}
    training.watched.history[-1].layers[EVIL] = study.SeenLayer("Linear", mean=1.0, std=2.0, dead=0.9)
    page = opened(training.watched.page(tmp_path / "training.html"))
    assert EVIL in page.locator("#layers").text_content() and EVIL in page.locator("#words").text_content()
    assert page.evaluate("document.querySelectorAll('img, u, [onerror]').length") == 0 and page.title() == "Training of Sequential"


@pytest.mark.parametrize("value", [float("nan"), 0.0, 1e30, -1e-30])
def test_curves_of_odd_numbers_are_drawn(training, tmp_path, opened, value):
    training.steps(5)
    for seen in training.watched.history:
        seen.loss = seen.layers["0"].gradient = seen.layers["0"].mean = seen.layers["0"].std = value
    page = opened(training.watched.page(tmp_path / "training.html"))
    paths = [path.get_attribute("d") for path in page.locator("path").all()]
    assert len(paths) > 5 and not any("NaN" in path or "Infinity" in path for path in paths)
    assert not any(line.get_attribute("y1") == "NaN" for line in page.locator("svg line").all())
