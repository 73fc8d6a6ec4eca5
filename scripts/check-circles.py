#!/usr/bin/env python3
"""Fails where source files of one crate use each other in a circle.

A file uses another where it names something that stands there: by `use`, or by a path in the code. A name that is passed
on by `pub use` leads to the file that it stands in; to pass a name on is no use of it. Tests do not count, nor what a
module takes from those that it lies in: what `a/mod.rs` says is said to all of `a`. Arguments: folders of crates (those
of the workspace)."""
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ITEM = r"\b(?:fn|struct|enum|union|trait|type|const|static|macro_rules!)\s+(?:mut\s+)?{}\b"


def code_of(text):
    """The text without comments, and with empty strings."""
    pattern = re.compile(
        r"//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|b?r(#*)\"(?:.|\n)*?\"\1|b?\"(?:\\.|[^\"\\])*\"|b?'(?:\\.[^']*|[^\\'\n])'"
    )
    return pattern.sub(lambda found: '""' if found[0].endswith(('"', "#")) else " ", text)


def end_of_braces(text, start):
    """The place behind the braces that open at or after `start`."""
    depth = 0
    for at in range(text.index("{", start), len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    return len(text)


def without_tests(text):
    """The text without what is compiled for tests alone, and the modules of that kind which are files."""
    tests = set()
    while found := re.search(r"#\[cfg\(test\)\]\s*(?:#!?\[[^\]]*\]\s*)*", text):
        rest = text[found.end():]
        if of_file := re.match(r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", rest):
            tests.add(of_file[1])
            end = found.end() + of_file.end()
        else:
            brace, semicolon = rest.find("{"), rest.find(";")
            is_line = semicolon >= 0 and (brace < 0 or semicolon < brace)
            is_use = re.match(r"(?:pub(?:\([^)]*\))?\s+)?use\b", rest)
            end = found.end() + semicolon + 1 if is_line or is_use else end_of_braces(text, found.end())
        text = text[:found.start()] + text[end:]
    return text, tests


def leaves(tree, before=()):
    """The paths of a `use`, each with the name that it is known by."""
    tree = tree.strip()
    if "{" not in tree:
        path, _, name = tree.partition(" as ")
        parts = before + tuple(part.strip() for part in path.split("::") if part.strip())
        if parts[-1:] == ("self",):
            parts = parts[:-1]
        return [(parts, name.strip() or parts[-1])] if parts else []
    head, inner = tree[:tree.index("{")], tree[tree.index("{") + 1:tree.rindex("}")]
    before += tuple(part.strip() for part in head.split("::") if part.strip())
    found, depth, start = [], 0, 0
    for at, character in enumerate(inner + ","):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            if inner[start:at].strip():
                found += leaves(inner[start:at], before)
            start = at + 1
    return found


class Module:
    def __init__(self, path, file):
        self.path, self.file = path, file
        text, self.tests = without_tests(code_of(file.read_text()))
        self.uses, self.passed_on = [], []
        for public, tree in re.findall(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", text):
            (self.passed_on if public else self.uses).extend(leaves(tree))
        self.code = re.sub(r"\b(?:pub(?:\([^)]*\))?\s+)?(?:use\s+[^;]+|mod\s+\w+\s*);", " ", text)
        self.names = {name: parts for parts, name in self.uses + self.passed_on if name != "*"}

    def defines(self, name):
        return re.search(ITEM.format(re.escape(name)), self.code)


def modules_of(source):
    found = {}
    for file in sorted(source.rglob("*.rs")):
        parts = list(file.relative_to(source).with_suffix("").parts)
        if parts[:1] == ["bin"]:
            continue
        if parts[-1] in ("mod", "lib", "main"):
            # A program beside a library is a crate of its own; its one file has no circle.
            if parts == ["main"] and (source / "lib.rs").exists():
                continue
            parts.pop()
        found[tuple(parts)] = Module(tuple(parts), file)
    tests = {path + (name,) for path, module in found.items() for name in module.tests}
    return {path: module for path, module in found.items() if not any(path[:n] in tests for n in range(1, len(path) + 1))}


def resolve(modules, start, parts, seen=()):
    """The module in which what a path names stands; none where that is another crate's."""
    if (start, parts) in seen:
        return None
    seen += ((start, parts),)
    first, rest = parts[0], parts[1:]
    if first in ("crate", "$crate"):
        at = ()
    elif first == "self":
        at = start
    elif first == "super":
        at = start[:-1]
        while rest and rest[0] == "super":
            at, rest = at[:-1], rest[1:]
    else:
        if start + (first,) not in modules and first not in modules[start].names:
            return None
        at, rest = start, parts
    while rest:
        name = rest[0]
        if at + (name,) in modules:
            at, rest = at + (name,), rest[1:]
        elif name in modules[at].names:
            target = modules[at].names[name]
            # `use other::other`: the first is a crate.
            return resolve(modules, at, target + rest[1:], seen) if target[0] != name else None
        elif modules[at].defines(name):
            return at
        else:
            for path, known in modules[at].passed_on:
                through = resolve(modules, at, path[:-1], seen) if known == "*" and path[:-1] else None
                if through is not None and (found := resolve(modules, through, ("self", *rest), seen)) is not None:
                    if modules[found].defines(name) or found != through:
                        return found
            return at
    return at


def used_by(modules, module):
    paths = [parts for parts, name in module.uses if name != "*"]
    paths += [parts[:-1] for parts, name in module.uses if name == "*" and parts[:-1]]
    # A path in the code; that of a name which was taken by `use` counted there.
    for text in re.findall(r"(?<![\w:$])\$?\w+(?:\s*::\s*\w+)+", module.code):
        paths.append(tuple(part.strip() for part in text.split("::")))
    # What is passed on and used in the same file.
    paths += [parts for parts, name in module.passed_on if re.search(rf"\b{re.escape(name)}\b", module.code)]
    # A macro of this crate stands at its root by its name, wherever it is written.
    macros = {parts[-1] for parts in paths} | set(re.findall(r"\b(\w+)!\s*[({\[]", module.code))
    found = {resolve(modules, module.path, parts) for parts in paths if parts}
    for name in macros:
        found |= {path for path, other in modules.items() if re.search(rf"macro_rules!\s+{re.escape(name)}\b", other.code)}
    return {path for path in found - {None} if module.path[:len(path)] != path}


def circles(graph):
    """Groups of more than one that reach each other (Tarjan)."""
    order, low, stack, groups = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            group = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return groups


def look(crate):
    """Reports the circles of a crate; how many there are."""
    modules = modules_of(crate / "src")
    graph = {path: used_by(modules, module) for path, module in modules.items()}
    found = circles(graph)
    name = lambda path: str(modules[path].file.relative_to(crate))
    for group in found:
        print(f"{crate.name}: these {len(group)} files use each other in a circle:", file=sys.stderr)
        for path in group:
            within = ", ".join(name(other) for other in sorted(graph[path] & set(group)))
            print(f"  {name(path)} uses {within}", file=sys.stderr)
    return len(found)


def check_itself():
    """A circle that is known must be found, and what is none must not."""
    files = {
        "lib.rs": "mod a; mod b; mod c; mod d; pub use a::A; pub use d::*;",
        "a.rs": "use crate::b::{self, B as Other}; pub struct A(Other);",
        "b.rs": "// use crate::c;\npub struct B; pub fn f(_: &crate::A) {}\n#[cfg(test)]\nmod tests { use crate::c::C; }",
        "c.rs": "use crate::{A, D}; pub struct C(A, D);",
        "d.rs": "pub struct D; const S: &str = \"crate::c::C\";",
    }
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        source.mkdir()
        for name, text in files.items():
            (source / name).write_text(text)
        modules = modules_of(source)
        graph = {path: used_by(modules, module) for path, module in modules.items()}
    assert graph[("c",)] == {("a",), ("d",)} and graph[("d",)] == set(), graph
    assert circles(graph) == [[("a",), ("b",)]], graph


check_itself()
crates = [Path(argument) for argument in sys.argv[1:]] or [ROOT / "src-tauri", *sorted((ROOT / "crates").iterdir())]
if sum(look(crate) for crate in crates if (crate / "src").is_dir()):
    sys.exit(1)
print("No files of a crate use each other in a circle.", file=sys.stderr)
