"""The entries of a tape grouped by the modules that called them, and the picture of each group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.layout import Layout, layered

BOX, GAP = 200, 24  # the width of an entry's box, and between boxes, in pixels


@dataclass(eq=False)
class Group:
    """One call of a module, or the whole tape: its entries and the groups inside it, sources before targets."""

    path: str
    name: str
    within: Group | None = None
    members: list[int | Group] = field(default_factory=list)

    def chain(self) -> list[Group]:
        """The groups around this one, the outermost first, and itself."""
        return [*(self.within.chain() if self.within else []), self]


def grouped(entries: Sequence[Entry]) -> tuple[Group, list[Group]]:
    """The tree of groups, and the group of each entry.

    A group is an unbroken run of operations, so that edges between groups never form a cycle where a module is called
    twice. A parameter stands beside its first use, one of several results beside its operation.
    """
    root = Group("", "")
    home: dict[int, Group] = {}
    open_groups: list[Group] = [root]
    open_path: list[str] = []
    for entry in entries:
        if not entry.inputs:
            continue
        if entry.operation.startswith("result ") and len(entry.inputs) == 1 and entry.inputs[0] in home:
            home[entry.number] = group = home[entry.inputs[0]]
            _insert_after(group.members, entry.inputs[0], entry.number, entries)
            continue
        path = _path(entry)
        same = 0
        while same < min(len(path), len(open_path)) and path[same] == open_path[same]:
            same += 1
        del open_groups[same + 1 :]
        for depth in range(same, len(path)):
            group = Group(".".join(path[: depth + 1]), path[depth], open_groups[-1])
            open_groups[-1].members.append(group)
            open_groups.append(group)
        open_path = path
        open_groups[-1].members.append(entry.number)
        home[entry.number] = open_groups[-1]
    sources: dict[Group, list[int]] = {}
    for number, group in _homes_of_sources(entries, home, root).items():
        home[number] = group
        sources.setdefault(group, []).append(number)
    for group, numbers in sources.items():
        group.members[:0] = numbers
    _merge_chains(root)
    return root, [home[entry.number] for entry in entries]


def _path(entry: Entry) -> list[str]:
    if entry.by_rule_of is not None:
        return ["backward"]
    return entry.module.split(".") if entry.module else []


def _insert_after(members: list[int | Group], whole: int, number: int, entries: Sequence[Entry]) -> None:
    place = members.index(whole) + 1
    while place < len(members) and isinstance(other := members[place], int) and entries[other].inputs == (whole,):
        if not entries[other].operation.startswith("result "):
            break
        place += 1
    members.insert(place, number)


def _homes_of_sources(entries: Sequence[Entry], home: dict[int, Group], root: Group) -> dict[int, Group]:
    """For each leaf, and what was recorded before the block, the innermost group around its first use to whose module it
    belongs by name."""
    found = {entry.number: root for entry in entries if not entry.inputs}
    used: set[int] = set()
    for entry in entries:
        for number in entry.inputs:
            if number in found and number not in used:
                used.add(number)
                for group in home[entry.number].chain()[1:]:
                    if entries[number].name.startswith(f"{group.path}."):
                        found[number] = group
    return found


def _merge_chains(root: Group) -> None:
    """A group that holds nothing but one other becomes one with it: `encoder.layers`."""
    waiting = [root]
    while waiting:
        group = waiting.pop()
        for i, member in enumerate(group.members):
            while isinstance(member, Group) and len(member.members) == 1 and isinstance(inner := member.members[0], Group):
                inner.name, inner.within = f"{member.name}.{inner.name}", group
                group.members[i] = member = inner
            if isinstance(member, Group):
                waiting.append(member)


# A node of a group's picture: an entry, a group inside, or the port of a value that comes in or goes out.
Node = tuple[str, int]


@dataclass(eq=False)
class Picture:
    """The layout of one group with every group inside it folded. A line is labelled with the number of the entry whose value
    it carries."""

    group: Group
    nodes: list[Node]
    layout: Layout


def pictures(entries: Sequence[Entry]) -> list[Picture]:
    """The picture of each group; a node ("group", i) is the one of number i. The first is that of the whole tape."""
    root, home = grouped(entries)
    groups = [root]
    for group in groups:  # which grows
        groups += [member for member in group.members if isinstance(member, Group)]
    number_of = {group: i for i, group in enumerate(groups)}
    edges: list[dict[tuple[Node, Node, int], None]] = [{} for _ in groups]
    for entry in entries:
        for source in dict.fromkeys(entry.inputs):
            before, after = home[source].chain(), home[entry.number].chain()
            shared = sum(a is b for a, b in zip(before, after))
            start, end = _node(before, shared, source, number_of), _node(after, shared, entry.number, number_of)
            edges[number_of[before[shared - 1]]][start, end, source] = None
            for depth in range(shared, len(before)):
                inner = _node(before, depth + 1, source, number_of)
                edges[number_of[before[depth]]][inner, ("out", source), source] = None
            for depth in range(shared, len(after)):
                inner = _node(after, depth + 1, entry.number, number_of)
                edges[number_of[after[depth]]][("in", source), inner, source] = None
    return [_picture(group, number_of, list(found)) for group, found in zip(groups, edges)]


def _node(chain: list[Group], depth: int, entry: int, number_of: dict[Group, int]) -> Node:
    """What holds an entry among the members of the group before `chain[depth]`."""
    return ("group", number_of[chain[depth]]) if depth < len(chain) else ("entry", entry)


def _picture(group: Group, number_of: dict[Group, int], edges: list[tuple[Node, Node, int]]) -> Picture:
    arriving = dict.fromkeys(start for start, _, _ in edges if start[0] == "in")
    leaving = dict.fromkeys(end for _, end, _ in edges if end[0] == "out")
    members: list[Node] = [("group", number_of[each]) if isinstance(each, Group) else ("entry", each) for each in group.members]
    nodes = [*arriving, *members, *leaving]
    place = {node: i for i, node in enumerate(nodes)}
    layout = layered(
        [BOX if kind in ("entry", "group") else 0 for kind, _ in nodes],
        [(place[start], place[end], value) for start, end, value in edges],
        gap=GAP,
        top=range(len(arriving)),
        bottom=range(len(nodes) - len(leaving), len(nodes)),
    )
    return Picture(group, nodes, layout)
