"""The HTML page of a tape, in Chromium where Playwright and Chromium are installed, otherwise as text."""

from __future__ import annotations

import html.parser
import json

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, study
from tinygrad_lite.study.page import page_of

EVIL = "</script><img src=x onerror=\"document.title='stolen'\">&amp;{{data}}"


def network():
    tg.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))


@pytest.fixture(scope="module")
def tape():
    model, x, y = network(), tg.tensor([[1.0, -2.0], [0.5, 3.0]]), tg.tensor([0, 1])
    with study.record(model) as tape:
        h = model(x)
        loss = F.cross_entropy(h, y)
        loss.backward()
    return tape


def data_of(text):
    """The JSON of a page, found as a browser finds it: the text up to the next `</script`."""
    return json.loads(text.split('<script id="data" type="application/json">')[1].partition("</script")[0])


# -- the file --------------------------------------------------------------------------------------


def test_a_page_is_one_file_that_asks_the_network_for_nothing(tape, tmp_path):
    path = tape.page(tmp_path / "backward.html")
    text = path.read_text(encoding="utf-8")
    assert path == tmp_path / "backward.html" and "default-src 'none'" in text
    found = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend((tag, name) for name, value in attrs if name in ("src", "href", "srcset", "action"))

    Reader().feed(text)
    template = text.partition('<script id="data"')[0] + text.rpartition("<script>")[2]
    assert not found and not any(way in template for way in ("@import", "url(", "fetch(", "XMLHttpRequest", "import("))
    assert "<title>Backward of loss</title>" in text


def test_the_data_are_the_entries_and_the_steps(tape):
    data = data_of(page_of(tape.entries, tape.passes))
    assert [e["operation"] for e in data["entries"]] == [e.operation for e in tape]
    (found,) = data["passes"]
    assert [s["entry"] for s in found["steps"]] == [s.entry for s in tape.passes[0].steps]
    tanh = next(i for i, e in enumerate(data["entries"]) if e["operation"] == "tanh")
    step = next(s for s in found["steps"] if s["entry"] == tanh)
    assert data["rules"][step["sent"][0][2]]["formula"] == "g * (1 - out * out)"
    lines = {start + i: line for start, *run in data["files"][0]["runs"] for i, line in enumerate(run)}
    assert lines[tape["h"].calls[0].line].strip() == tape["h"].source


def test_an_empty_tape_and_a_path_that_is_none_are_refused(tape, tmp_path):
    with study.record() as empty:
        pass
    with pytest.raises(ValueError, match="page: the tape is empty"):
        empty.page(tmp_path / "a.html")
    with pytest.raises(TypeError, match="page: path must be a str or a path, got int"):
        tape.page(3)
    assert not list(tmp_path.iterdir())


def test_a_page_of_large_arrays_stays_small():
    w = tg.zeros(1024, requires_grad=True)
    with study.record() as tape:
        y = w
        for _ in range(1200):
            y = y + 1
        y.sum().backward()
    text = page_of(tape.entries, tape.passes)
    kept = [value for value in data_of(text)["values"] if value["array"]]
    assert 900 < len(kept) < 1100 and all(value["mean"] is not None for value in data_of(text)["values"])
    assert len(text) < 9_000_000


def test_the_page_of_a_step_of_a_gpt_is_under_3_MB(tmp_path):
    from benchmarks.programs import gpt

    loss_of, _ = gpt(tg, "cpu")
    with study.record() as tape:
        loss = loss_of()
    tape.backward(loss)
    assert len(tape) > 140 and tape.page(tmp_path / "gpt.html").stat().st_size < 3_000_000


def test_a_tape_without_a_backward_pass_has_a_page():
    x = tg.tensor([1.0, np.nan, np.inf], requires_grad=True)
    with study.record() as tape:
        (x * 2).sum()
    data = data_of(page_of(tape.entries, tape.passes))
    assert data["passes"] == [] and data["title"] == "Tape of 3 entries"
    assert {(value["nan"], value["inf"]) for value in data["values"]} == {(1, 1), (1, 0)}


def test_gradients_of_gradients_several_results_and_functions_have_a_page():
    class Double(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = tg.ones(4, requires_grad=True)
    with study.record() as tape:
        a, b = Double.apply(x).split(2)
        (g,) = tg.autograd.grad((a * b * b).sum(), x, create_graph=True)
        g.sum().backward()
    data = data_of(page_of(tape.entries, tape.passes))
    assert [len(each["steps"]) for each in data["passes"]] == [len(each.steps) for each in tape.passes]
    assert any(e["by"] is not None for e in data["entries"])


def test_arguments_off_the_tape_and_the_pass_that_is_not_inside_another_are_shown():
    w = tg.ones(3, requires_grad=True)
    with study.record() as tape:
        h = w * 2
        loss = (tg.utils.checkpoint.checkpoint(lambda v: v.exp() * v, w, use_reentrant=False) * h.detach()).sum()
        loss.backward()
    data = data_of(page_of(tape.entries, tape.passes))
    assert data["title"] == "Backward of loss"
    last = next(e for e in reversed(data["entries"]) if e["operation"] == "mul" and e["by"] is None)
    assert last["cut"] == {"other": tape.number_of(h)} and list(last["constants"]) == ["other"]


def evil_tape():
    """A tape whose names, strings and source hold markup."""
    model = nn.Module()
    model.register_parameter("w", nn.Parameter(tg.ones(2)))
    holder = {}
    with study.record(model) as tape:
        holder["</script><img src=x onerror=\"document.title='stolen'\">"] = model.w * 2
        loss = holder.popitem()[1].sum()  # <b>bold</b>
        loss.backward()
    tape["loss"].name = EVIL
    tape.entries[1].saved["<i>name</i>"] = EVIL
    tape.entries[1].module = "<u>module</u>"
    return tape


def test_names_and_strings_are_escaped():
    tape = evil_tape()
    text = page_of(tape.entries, tape.passes)
    assert "<img" not in text and "<b>bold" not in text and "<i>name" not in text and "<u>module" not in text
    assert data_of(text)["entries"][2]["name"] == EVIL


# -- in a browser ----------------------------------------------------------------------------------


@pytest.fixture
def opened(visit, tmp_path):
    """A function that opens a tape's page."""
    return lambda tape, fragment="": visit(tape.page(tmp_path / "page.html").as_uri() + fragment)


def numbers(page, caption):
    """The numbers of the table under a caption of the panel, row by row."""
    figure = page.locator("#detail figure.tile").filter(has=page.locator("figcaption", has_text=caption)).first
    return [[float(cell) for cell in row.locator("td").all_text_contents()] for row in figure.locator("tr").all()]


def close(found, expected):
    np.testing.assert_allclose(np.array(found), np.atleast_2d(expected), rtol=1e-3, atol=1e-7)


def test_stepping_shows_each_cotangent_and_contribution(tape, opened):
    page = opened(tape)
    assert page.locator("#position").text_content() == f"before step 1 of {len(tape.passes[0].steps)}"
    for i, step in enumerate(tape.passes[0].steps, 1):
        page.keyboard.press("ArrowRight")
        entry = tape[step.entry]
        assert page.locator("#position").text_content() == f"step {i} of {len(tape.passes[0].steps)}"
        assert page.locator("#detail h2").text_content() == entry.label
        assert page.locator("#slider").input_value() == str(i)
        close(numbers(page, "g"), step.cotangent.array)
        cards = page.locator("#detail .card")
        assert cards.count() == len(step.sent)
        for card, sent in zip(cards.all(), step.sent):
            assert tape[sent.to].label.split(" = ")[0] in card.locator("p").first.text_content()
        close(numbers(page, "contribution"), step.sent[0].gradient.array)
    page.keyboard.press("ArrowLeft")
    close(numbers(page, "g"), tape.passes[0].steps[-2].cotangent.array)
    page.keyboard.press("Home")
    assert page.locator(".box.current").count() == 0


def test_the_slider_and_the_buttons_move_through_time(tape, opened):
    page, count = opened(tape), len(tape.passes[0].steps)
    page.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#position").text_content() == f"step 2 of {count}"
    page.locator("#slider").fill(str(count))
    assert page.locator("#position").text_content() == f"step {count} of {count}"
    page.locator("#previous").click()
    assert page.locator("#position").text_content() == f"step {count - 1} of {count}"
    page.locator("#first").click()
    page.keyboard.press("End")
    weight = tape.number_of("0.weight")
    page.locator(f"#box-{weight}").click()
    close(numbers(page, "g"), tape.passes[0].gradients[weight].array)
    assert page.locator("#said").text_content().startswith(f"Step {count - 1} of {count}")


def test_what_an_entry_has_so_far_follows_the_steps(opened):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with study.record() as tape:
        loss = (x * x + x.exp()).sum()
        loss.backward()
    page = opened(tape)
    page.locator("#box-0").click()
    assert "No gradient has arrived yet." in page.locator("#detail").text_content()
    for position, step in enumerate(tape.passes[0].steps, 1):
        page.keyboard.press("ArrowRight")
        totals = [sent.total for sent in step.sent if sent.to == 0]
        if totals:
            page.locator("#box-0").click()
            close(numbers(page, "g"), totals[-1].array)
        assert page.locator("#position").text_content().startswith(f"step {position} ")
    close(numbers(page, "g"), 2 * np.array([1, 2]) + np.exp([1, 2]))


def test_the_line_of_the_current_entry_is_lit(tape, opened):
    page = opened(tape)
    page.keyboard.press("ArrowRight")
    lit = page.locator("#code .now")
    assert lit.count() == 1 and lit.locator("span").text_content().strip() == tape["loss"].source
    page.keyboard.press("ArrowRight")
    assert lit.locator("span").text_content().strip() == tape["h"].source
    lit.click()  # the operations of the line in turn
    assert page.locator("#detail h2").text_content() != tape["h"].label


def test_modules_fold_and_unfold(tape, opened):
    page = opened(tape)
    tanh = next(e.number for e in tape if e.operation == "tanh")
    assert page.locator(f"#box-{tanh}").count() == 1
    page.locator(".frame button", has_text="1").click()
    assert page.locator(f"#box-{tanh}").count() == 0
    folded = page.locator(".box.group")
    assert folded.count() == 1 and folded.get_attribute("aria-expanded") == "false"
    assert page.locator("#said").text_content() == "1 folded"
    page.keyboard.press("End")
    assert folded.get_attribute("aria-label") == "Module 1, folded, 1 of 1 steps done"
    folded.focus()
    page.keyboard.press("Enter")
    assert page.locator(f"#box-{tanh}").count() == 1
    page.locator("#fold").click()
    assert page.locator(".frame").count() == 0 and page.locator(".box.group").count() == 3
    page.locator("#unfold").click()
    assert page.locator(".frame").count() == 3 and page.locator(".box.group").count() == 0


def test_search_finds_operations_modules_and_lines_and_unfolds_what_is_found(tape, opened):
    page = opened(tape)
    page.locator("#fold").click()
    page.keyboard.press("/")
    page.keyboard.type("tanh")
    assert page.locator("#found li").first.text_content().startswith("%3 tanh")
    page.keyboard.press("Enter")
    assert page.locator("#detail h2").text_content() == "%3 tanh" and page.locator("#box-3.selected").count() == 1
    assert page.locator("#found").is_hidden()
    page.locator("#search").fill("f.cross_entropy(h")
    page.locator("#found li").first.click()
    assert page.locator("#detail h2").text_content() == tape["loss"].label
    page.locator("#search").fill("no such entry")
    assert page.locator("#found").text_content() == "No entry has these words."


def test_a_fragment_links_to_an_entry(tape, opened):
    number = tape.number_of("h")
    page = opened(tape, f"#e{number}")
    assert page.locator("#detail h2").text_content() == tape["h"].label
    page.evaluate("location.hash = '#e3'")
    page.wait_for_function("document.querySelector('#detail h2').textContent === '%3 tanh'")
    page.locator(f"#box-{number}").click()
    assert page.evaluate("location.hash") == f"#e{number}"
    page.keyboard.press("ArrowUp")
    assert page.locator("#detail h2").text_content() == "%3 tanh"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("g")
    assert page.locator("#position").text_content().startswith("step 2 ")


def test_boxes_do_not_overlap_and_lines_start_and_end_at_boxes(tape, opened):
    page = opened(tape)
    boxes = page.evaluate("[...picture.boxes.values()].filter((box) => box.frame === undefined)")
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert apart or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
    page.keyboard.press("ArrowRight")
    assert page.locator("#lines path.lit").count() >= 1
    page.keyboard.press("End")
    assert page.locator("#lines path:not(.sent):not(.lit)").count() == 0


def test_several_results_hand_their_gradients_on(opened):
    x = tg.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    with study.record() as tape:
        a, b = x.split(2)
        (a * b * b).sum().backward()
    page = opened(tape)
    first = next(e.number for e in tape if e.operation == "result 0")
    page.evaluate(f"go(stepOf.get({first}))")
    assert page.locator("#lines path.lit").count() == 1
    assert "the same, as one of the results of %1 " in page.locator("#detail").text_content()
    page.keyboard.press("End")
    close(numbers(page, "g [0]"), [9, 16])
    close(numbers(page, "g [1]"), [6, 16])
    assert page.locator("#lines path:not(.sent):not(.lit)").count() == 0


def test_dark_and_light_follow_the_system_and_the_button(tape, opened):
    page = opened(tape)
    background = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(background)
    page.locator("#theme").click()
    assert page.evaluate(background) == dark != light


def test_every_control_has_a_name_for_screen_readers(tape, opened):
    page = opened(tape)
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, select, [tabindex='0'], [role=img]")].filter((element) =>
           !(element.getAttribute("aria-label") || element.textContent.trim() || element.title)).map((element) => element.outerHTML)"""
    )
    assert unnamed == []
    page.keyboard.press("ArrowRight")
    assert page.locator("#said").text_content() == f"Step 1 of {len(tape.passes[0].steps)}: {tape['loss'].label}"
    assert tape["loss"].label in page.locator("#slider").get_attribute("aria-valuetext")
    assert page.locator("#box-3").get_attribute("aria-label") == "%3 tanh, not reached yet"


def test_markup_in_names_strings_and_source_is_shown_as_text(opened):
    tape = evil_tape()
    page = opened(tape)
    page.keyboard.press("ArrowRight")
    assert page.locator("#detail h2").text_content() == tape.entries[2].label and EVIL in page.locator("h1").text_content()
    page.keyboard.press("ArrowRight")
    for summary in page.locator("#detail summary").all():
        summary.click()
    assert EVIL in page.locator("#detail").text_content().replace("\\'", "'")
    page.locator("#search").fill("bold")
    assert page.locator("#found li").count() == 1 and "<b>bold</b>" in page.locator("#found").text_content()
    assert page.evaluate("document.querySelectorAll('b:not(.row b), i:not(.key), u, [onerror]').length") == 0
    assert page.title().startswith("Backward of </script>")


def test_large_arrays_are_histograms_and_small_ones_heat_maps(opened):
    w = tg.from_numpy(np.linspace(-1, 1, 40 * 50, dtype=np.float32).reshape(40, 50)).requires_grad_()
    with study.record() as tape:
        y = w[:20, :20].exp()
        (y.sum() + (w * w).sum()).backward()
    page = opened(tape, f"#e{tape.number_of('y')}")
    canvas = page.locator("#detail figure", has_text="y20").locator("canvas")
    assert canvas.get_attribute("aria-label").startswith("Heat map: mean ")
    canvas.hover(position={"x": 2, "y": 2})
    assert page.locator("#detail figure p", has_text="[0, 0] = 0.3679").count() == 1
    page.evaluate(f"select({tape.number_of('w')}, true)")
    figure = page.locator("#detail figure", has_text="w40")
    assert figure.locator("svg rect").count() == 24 and "-1 to 1" in figure.text_content()


def test_passes_are_chosen_and_a_tape_without_one_still_shows_its_values(opened):
    x = tg.tensor(2.0, requires_grad=True)
    with study.record() as tape:
        y = x * x * x
        (g,) = tg.autograd.grad(y, x, create_graph=True)
        g.backward()
    page = opened(tape)
    assert page.locator("#pass").input_value() == "1"
    page.locator("#pass").select_option("0")
    page.keyboard.press("End")
    page.evaluate("select(0, true)")
    close(numbers(page, "g"), 12)
    page.locator("#pass").select_option("1")
    page.keyboard.press("End")
    page.evaluate("select(0, true)")
    close(numbers(page, "g"), 12)
    with study.record() as tape:
        _ = x.exp()
    page = opened(tape)
    assert page.locator("#position").text_content() == "no backward pass" and page.locator("#next").is_disabled()
    close(numbers(page, "_"), np.exp(2))


def test_a_page_of_2000_entries_draws_only_what_is_in_view(opened):
    w = tg.ones(4, 4, requires_grad=True)
    with study.record() as tape:
        h = w
        for _ in range(1000):
            h = (h * w).tanh()
        h.sum().backward()
    page = opened(tape)
    assert page.evaluate("data.entries.length") > 2000
    assert 3 <= page.locator(".box").count() < 60
    page.keyboard.press("End")
    assert 3 <= page.locator(".box").count() < 60
    close(numbers(page, "has so far"), tape.passes[0].gradients[0].array)
