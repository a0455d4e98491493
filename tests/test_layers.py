"""Imports run downwards only, `import smtpkit` stays light, and every file and function fits one sitting."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "smtpkit"
FILES = sorted(PACKAGE.rglob("*.py"))

# Layer: what it may import, besides itself.  A layer is a folder or a file of smtpkit/.
PROTOCOL = {"errors", "wire", "sasl", "protocol"}
SHARED = {
    "admission",
    "certificates",
    "observing",
    "overdue",
    "reaching",
    "tls",
    "endpoints",
    "connecting",
    "connected",
    "relayed",
    "serving",
    "served",
    "captured",
    "pooling",
    "retrying",
    "watching",
    "causes",
}
ADAPTER = PROTOCOL | SHARED
ON_TOP = PROTOCOL | {"smtpkit", "asyncio", "sync"}
ALLOWED = {
    "errors": set(),
    "wire": {"errors"},
    "sasl": {"errors", "wire"},
    "protocol": {"errors", "wire", "sasl"},
    "smtpkit": PROTOCOL,
    "tls": {"errors", "protocol"},
    "endpoints": {"wire"},
    "reaching": set(),
    "printable": set(),
    "captured": PROTOCOL | {"printable"},
    "causes": PROTOCOL,
    "connecting": PROTOCOL | {"tls", "captured", "causes"},
    "connected": PROTOCOL | {"watching"},
    "relayed": PROTOCOL | {"connecting"},
    "pooling": PROTOCOL,
    "retrying": PROTOCOL,
    "watching": PROTOCOL,
    "admission": PROTOCOL,
    "certificates": {"errors", "tls"},
    "observing": PROTOCOL,
    "overdue": set(),
    "serving": PROTOCOL | {"tls", "admission", "certificates"},
    "served": PROTOCOL | {"admission", "observing", "serving"},
    "asyncio": ADAPTER,
    "sync": ADAPTER,
    "stores": ON_TOP | {"printable"},
    "testing": ON_TOP | {"tls"},
    "diagnose": ON_TOP,
    "compat": ON_TOP | {"stores"},
    "cli": ON_TOP | {"stores", "testing", "diagnose"},
    "__main__": {"cli"},
}
HEAVY = {"asyncio", "ssl", "socket", "threading", "selectors", "email", "logging", "dataclasses", "inspect", "typing"}
HEAVY |= {"hmac", "secrets", "hashlib", "base64", "ipaddress", "urllib"}

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 40


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def layer_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "smtpkit"


def is_for_types(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path):
    """(line, module, name or None) of each import that runs, those inside functions too."""
    waiting = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if is_for_types(node):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports name the whole module"
            yield from ((node.lineno, node.module, alias.name) for alias in node.names)
        waiting += ast.iter_child_nodes(node)


def own_imports(path):
    """As `imports()`, of smtpkit alone; a name that is a module itself is part of the module's name."""
    for line, module, name in imports(path):
        if module.partition(".")[0] == "smtpkit":
            whole = f"{module}.{name}"
            yield (line, whole, None) if whole in MODULES else (line, module, name)


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def lines_without_docstring(function):
    docstring = function.body[0] if ast.get_docstring(function, clean=False) is not None else None
    lines = function.end_lineno - function.lineno + 1
    return lines if docstring is None else lines - (docstring.end_lineno - docstring.lineno + 1)


def test_imports_run_downwards_only():
    wrong = []
    for path in FILES:
        layer = layer_of(module_of(path))
        for line, module, _ in own_imports(path):
            other = layer_of(module)
            if other != layer and other not in ALLOWED[layer]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} ({layer}) imports {module}")
    assert not wrong, "\n".join(wrong)


def test_the_table_of_layers_has_no_cycle():
    lower = {layer: allowed - {layer} for layer, allowed in ALLOWED.items()}
    while lower:
        lowest = {layer for layer, allowed in lower.items() if not allowed & lower.keys()}
        assert lowest, f"these import each other: {sorted(lower)}"
        lower = {layer: allowed for layer, allowed in lower.items() if layer not in lowest}


def test_protocol_layers_import_nothing_that_does_io():
    io = {"asyncio", "socket", "ssl", "threading", "selectors", "select", "logging", "subprocess", "time"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in FILES
        if layer_of(module_of(path)) in {"errors", "wire", "sasl", "protocol"}
        for line, module, _ in imports(path)
        if module.partition(".")[0] in io
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_imported_across_files_is_public_there():
    wrong = []
    for path in FILES:
        for line, module, name in own_imports(path):
            if name is None or name == "__version__" or module not in MODULES:
                continue
            public = public_names(MODULES[module])
            if name.startswith("_") or (public is not None and name not in public):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name} of {module}")
    assert not wrong, "\n".join(wrong)


def public_names(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            return ast.literal_eval(node.value)
    return None


def test_packages_on_top_import_the_adapters_as_a_whole():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in FILES
        if layer_of(module_of(path)) in {"cli", "stores", "testing", "diagnose", "compat"}
        for line, module, _ in own_imports(path)
        if module.startswith(("smtpkit.asyncio.", "smtpkit.sync."))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", ["smtpkit", "smtpkit.protocol.client_driver", "smtpkit.protocol.server_driver"])
def test_the_core_loads_nothing_heavy(module):
    program = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert not loaded & HEAVY


def test_each_file_begins_with_its_one_reason():
    wrong = []
    for path in FILES:
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        if not docstring or not docstring.splitlines()[0].endswith((".", ":")):
            wrong.append(str(path.relative_to(ROOT)))
    assert not wrong, f"no sentence on the first line: {wrong}"


def test_each_public_class_and_function_has_a_docstring():
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_short():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: lines for name, lines in lengths.items() if lines > MOST_LINES}


def test_functions_are_short():
    wrong = []
    for path in FILES:
        for function in functions(ast.parse(path.read_text())):
            lines = lines_without_docstring(function)
            if lines > MOST_LINES_OF_A_FUNCTION:
                wrong.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {lines} lines")
    assert not wrong, "\n".join(wrong)
