"""The demo's corpus: real text that every machine has.

The docstrings and longer comments of Python's standard library, one Markdown file a module, and
the project's own docs. The modules are parsed, never imported.
"""

from __future__ import annotations

import ast
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

# fmt: off
SKIPPED = frozenset((
    "__pycache__", "__phello__", "_pyrepl", "dist-packages", "idlelib", "lib2to3", "site-packages",
    "test", "tests", "turtledemo",
))
# fmt: on
# four or more lines of comment at a stretch explain something
_COMMENTS = re.compile(r"(?:^[ \t]*#(?!!).*\n){4,}", re.MULTILINE)
_MARK = re.compile(r"^[ \t]*#+ ?", re.MULTILINE)
PYTHON_DOCS = "python"
PROJECT_DOCS = "kitestring"
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def write_corpus(target: Path, *, library: Path | None = None, docs: Path | None = None) -> int:
    """Writes the corpus below `target` and returns its number of documents.

    A second call writes nothing that is there already, and removes documents whose source is
    gone. The same Python gives the same bytes.

    Args:
        library: a directory of Python modules; this interpreter's standard library by default.
        docs: a directory of Markdown files; that of the checkout, if this is one, by default.
    """
    library = library or Path(sysconfig.get_path("stdlib"))
    docs = docs or Path(__file__).resolve().parents[3] / "docs"
    wanted = {f"{PYTHON_DOCS}/{module}.md": text for module, text in module_docs(library)}
    for file in sorted(docs.glob("**/*.md")):
        wanted[f"{PROJECT_DOCS}/{file.relative_to(docs).as_posix()}"] = file.read_text("utf-8")
    for name, text in wanted.items():
        path = target / name
        data = text.encode("utf-8", "replace")
        if not (path.is_file() and path.read_bytes() == data):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for folder in (PYTHON_DOCS, PROJECT_DOCS):
        for path in sorted((target / folder).glob("**/*.md")):
            if path.relative_to(target).as_posix() not in wanted:
                path.unlink()
    return len(wanted)


def module_docs(library: Path) -> Iterator[tuple[str, str]]:
    """(qualified module name, Markdown text) of every module that has docstrings, by name."""
    found: list[tuple[str, Path]] = []
    for folder, folders, files in os.walk(library):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and f.isidentifier())
        for file in files:
            path = Path(folder, file)
            parts = path.relative_to(library).with_suffix("").parts
            if path.suffix == ".py" and all(part.isidentifier() for part in parts):
                found.append((".".join(p for p in parts if p != "__init__"), path))
    for module, path in sorted(found):
        text = _module_text(module, path)
        if text:
            yield module, text


def _module_text(module: str, path: Path) -> str:
    """The docstrings of a module, each below a heading with its qualified name and signature,
    and its longer comments."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in other people's strings
            source = path.read_bytes()
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return ""  # a module that this Python can't parse documents nothing
    if module == "pydoc_data.topics":
        return _topics(tree)
    parts: list[str] = []

    def visit(node: _Documented, name: str, level: int) -> None:
        text = ast.get_docstring(node)
        if text and text.strip():
            parts.append(f"{'#' * min(level, 6)} {name}{_signature(node)}\n\n{text.strip()}\n")
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child, f"{name}.{child.name}", level + 1)

    visit(tree, module, 1)
    comments = _COMMENTS.findall(source.decode("utf-8", "replace"))
    notes = [note for note in (_MARK.sub("", c).strip() for c in comments) if note]
    if parts and notes:
        parts.append(f"## Comments in {module}\n\n" + "\n\n".join(notes) + "\n")
    return "\n".join(parts)


def _signature(node: _Documented) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"({ast.unparse(node.args)})"
    if isinstance(node, ast.ClassDef) and node.bases:
        return f"({', '.join(ast.unparse(base) for base in node.bases)})"
    return ""


def _topics(tree: ast.Module) -> str:
    """The texts of `help("topic")`: a module that holds one dictionary of strings."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            topics: dict[str, str] = ast.literal_eval(node.value)
            return "\n".join(f"# {name}\n\n{topics[name].strip()}\n" for name in sorted(topics))
    return ""
