"""Runs a notebook in its own folder, in a copy. Arguments: the notebook, and an empty folder.

The notebook is for people who start Jupyter where it is, so its paths are relative to that folder.
"""

import json
import os
import sys

import nbformat
from nbclient import NotebookClient

notebook, out = sys.argv[1:]
with open(notebook) as file:
    cells = nbformat.read(file, as_version=4)
nbformat.validate(cells)
home = os.path.dirname(os.path.abspath(notebook))
os.makedirs(os.path.join(out, "a/b"))
os.symlink(os.path.join(home, "../../fixtures"), os.path.join(out, "fixtures"))
ran = NotebookClient(cells, timeout=120, resources={"metadata": {"path": os.path.join(out, "a/b")}}).execute()
code = [cell for cell in ran.cells if cell.cell_type == "code"]
shown = json.dumps([cell.outputs for cell in code])
# The report is shown as a page of its own, and there is no other output than what the notebook is about.
assert "assets will sync" in shown and "text/html" in shown and "IMG001" in shown
assert os.path.getsize(os.path.join(out, "a/b/report.html")) > 10_000
print(json.dumps(len(code)))
