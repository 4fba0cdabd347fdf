"""The layered layout of a tape's picture, and its groups of modules."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as tg
from tinygrad_lite import nn, study
from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.groups import Group, grouped, pictures
from tinygrad_lite.study.layout import layered, spread


def rows_of(layout):
    return {node: r for r, row in enumerate(layout.rows) for node in row}


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 25))
    edges = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=50))
    return count, sorted({(min(u, v), max(u, v), min(u, v)) for u, v in edges if u != v})


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_every_edge_goes_down_and_no_two_boxes_overlap(graph):
    count, edges = graph
    layout = layered([100.0] * count, edges, gap=20)
    row = rows_of(layout)
    assert sorted(row) == list(range(len(layout.centres)))
    assert all(row[u] < row[v] for u, v, _ in edges)
    for nodes in layout.rows:
        for left, right in pairwise(nodes):
            room = 20 + (50 if left < count else 0) + (50 if right < count else 0)
            assert layout.centres[right] - layout.centres[left] >= room - 1e-6
    assert {(line.source, v, line.label) for line in layout.lines for v in line.targets} == set(edges)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_a_line_has_one_bend_in_each_row_that_it_passes(graph):
    count, edges = graph
    layout = layered([1.0] * count, edges)
    row = rows_of(layout)
    for line in layout.lines:
        furthest = max(row[v] for v in line.targets)
        assert [row[bend] for bend in line.bends] == list(range(row[line.source] + 1, furthest))


def test_a_source_stands_directly_above_its_first_use():
    edges = [(i, i + 1, i) for i in range(4)] + [(5, 6, 5), (4, 6, 4)]
    row = rows_of(layered([1.0] * 7, edges))
    assert (row[4], row[5], row[6]) == (4, 4, 5)


def test_ports_share_the_first_and_the_last_row():
    layout = layered([0, 0, 10, 10, 0], [(0, 2, 0), (1, 3, 1), (2, 4, 2), (3, 4, 3)], top=[0, 1], bottom=[4])
    assert [sorted(row) for row in layout.rows] == [[0, 1], [2, 3], [4]]


def test_a_chain_is_straight_and_two_crossed_chains_are_uncrossed():
    layout = layered([10.0] * 5, [(i, i + 1, i) for i in range(4)])
    assert layout.centres == [5.0] * 5
    crossed = layered([10.0] * 4, [(0, 3, 0), (1, 2, 1)])
    (a, b), (c, d) = crossed.rows
    assert {(a, c), (b, d)} == {(0, 3), (1, 2)}


def test_an_edge_upwards_is_refused():
    try:
        layered([1.0, 1.0], [(1, 0, 0)])
    except ValueError as error:
        assert "(1, 0)" in str(error)
    else:
        raise AssertionError("accepted")


def test_an_empty_graph_has_no_rows():
    assert layered([], []) == ([], [], [])


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0, 50), st.floats(0.1, 10)), min_size=1, max_size=12))
def test_spread_moves_boxes_no_more_than_it_must(boxes):
    wanted, widths, weights = map(list, zip(*boxes))
    placed = spread(wanted, widths, 5.0, weights)
    for i in range(len(placed) - 1):
        assert placed[i + 1] - placed[i] >= (widths[i] + widths[i + 1]) / 2 + 5 - 1e-6
    if all(wanted[i + 1] - wanted[i] >= (widths[i] + widths[i + 1]) / 2 + 5 for i in range(len(wanted) - 1)):
        for want, got in zip(wanted, placed):
            assert abs(want - got) < 1e-6


@st.composite
def tapes(draw):
    """Entries with random inputs, in random modules, some of them leaves and some the results of one operation."""
    entries = []
    for number in range(draw(st.integers(1, 30))):
        inputs = tuple(draw(st.lists(st.integers(0, number - 1), max_size=3))) if number else ()
        module = draw(st.sampled_from(["", "a", "a.0", "a.1", "a.1.x", "b.0", "b.0.y"]))
        entry = Entry(number, "op" if inputs else "leaf", inputs, (), "float32", module=module if inputs else "")
        if len(inputs) == 1 and draw(st.booleans()):
            entry.operation, entry.module = "result 0", entries[inputs[0]].module
        if not inputs:
            entry.name = draw(st.sampled_from(["", "a.weight", "a.1.x.bias", "b.0.y.weight"]))
        entries.append(entry)
    return entries


@settings(max_examples=100, deadline=None)
@given(tapes())
def test_lines_lead_from_every_entry_through_the_frames_to_its_users(entries):
    found = pictures(entries)
    holder = {node: (p, i) for p in found for i, node in enumerate(p.nodes) if node[0] in ("entry", "group")}
    assert sum(node[0] == "entry" for node in holder) == len(entries)
    number_of = {p.group: i for i, p in enumerate(found)}

    def source_of(value, picture, node):
        """The node that a value comes from to a node of the same picture."""
        (line,) = (each for each in picture.layout.lines if each.label == value and node in each.targets)
        return picture.nodes[line.source]

    for entry in entries:
        for value in entry.inputs:
            picture, node = holder["entry", entry.number]
            while (source := source_of(value, picture, node)) == ("in", value):
                picture, node = holder["group", number_of[picture.group]]
            while source != ("entry", value):
                picture = found[source[1]]
                source = source_of(value, picture, picture.nodes.index(("out", value)))


# -- groups ----------------------------------------------------------------------------------------


def outline(group):
    """A group as nested lists: its name and its members."""
    return [group.name, *(outline(member) if isinstance(member, Group) else member for member in group.members)]


def test_modules_become_groups_with_their_parameters():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 1)))
    x = tg.ones(4, 2, requires_grad=True)
    with study.record(model) as tape:
        model(x).sum()
    operations = [e.operation for e in tape]
    assert operations == ["leaf", "leaf", "leaf", "linear", "tanh", "leaf", "leaf", "linear", "sum"]
    root, home = grouped(tape.entries)
    assert outline(root) == ["", 0, ["0", 1, 2, 3], ["1", ["0", 4], ["1", 5, 6, 7]], 8]
    assert [group.path for group in home] == ["", "0", "0", "0", "1.0", "1.1", "1.1", "1.1", ""]


def test_a_module_that_is_called_twice_is_two_groups():
    layer, x = nn.Linear(2, 2), tg.ones(1, 2)
    with study.record(nn.ModuleDict({"layer": layer})) as tape:
        layer(layer(x).exp())
    root, _ = grouped(tape.entries)
    assert outline(root) == ["", ["layer", 0, 1, 2], 3, ["layer", 4]]


def test_a_group_that_holds_only_another_is_one_with_it():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([nn.Linear(2, 2)])

        def forward(self, x):
            return self.blocks[0](x)

    model = Outer()
    with study.record(model) as tape:
        model(tg.ones(1, 2)).sum()
    root, _ = grouped(tape.entries)
    assert outline(root) == ["", ["blocks.0", 0, 1, 2], 3]


def test_what_was_recorded_before_the_block_does_not_break_a_module_in_two():
    before = tg.ones(2, requires_grad=True).exp()

    class Gate(nn.Module):
        def forward(self, x):
            return x.tanh() * before

    x = tg.ones(2, requires_grad=True)
    with study.record(nn.ModuleDict({"gate": (gate := Gate())})) as tape:
        gate(x).sum()
    assert [e.operation for e in tape] == ["leaf", "tanh", "exp", "mul", "sum"]
    root, _ = grouped(tape.entries)
    assert outline(root) == ["", 0, 2, ["gate", 1, 3], 4]


def test_several_results_stand_beside_their_operation_and_gradients_of_gradients_in_a_group():
    x = tg.ones(4, requires_grad=True)
    with study.record() as tape:
        a, b = x.split(2)
        tg.autograd.grad((a * b * b).sum(), x, create_graph=True)
    root, _ = grouped(tape.entries)
    split = next(e.number for e in tape if e.operation == "split")
    at = root.members.index(split)
    assert [tape[n].operation for n in root.members[at + 1 : at + 3]] == ["result 0", "result 1"]
    assert outline(root)[-1][0] == "backward"


def test_each_value_that_crosses_a_frame_has_a_port_in_it():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Tanh()

        def forward(self, x):
            return x + self.inner(x.exp())

    model = nn.Sequential(Residual(), nn.ReLU())
    x = tg.ones(3, requires_grad=True)
    with study.record(model) as tape:
        model(x)
    assert [e.operation for e in tape] == ["leaf", "exp", "tanh", "add", "relu"]
    whole, block, relu, inner = pictures(tape.entries)
    assert whole.nodes == [("entry", 0), ("group", 1), ("group", 2)]
    assert block.nodes == [("in", 0), ("entry", 1), ("group", 3), ("entry", 3), ("out", 3)]
    assert inner.nodes == [("in", 1), ("entry", 2), ("out", 2)] and relu.nodes == [("in", 3), ("entry", 4)]
    targets = {(line.label, line.source): line.targets for line in block.layout.lines}
    assert targets == {(0, 0): [1, 3], (1, 1): [2], (2, 2): [3], (3, 3): [4]}
