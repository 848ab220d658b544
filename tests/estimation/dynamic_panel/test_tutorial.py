"""The tutorial runs from top to bottom: on the generated panel always, on Arellano and Bond's data where they are."""

from __future__ import annotations

import os
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from jupyter_client.manager import AsyncKernelManager

from estimation import SystemGMM
from estimation.example_data import LENGTHS, TRUTH, employment_panel

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = ROOT / "docs" / "guides" / "arellano_bond.ipynb"
DATA = ROOT.parent / "shared" / "golden" / "dynamic_panel" / "data" / "abdata.csv"
# a kernel's own sockets and loops, closed when its process ends
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CHECK = "print('checked', round(a1.params['L.n'], 4), round(a1.std_errors['L.n'], 4), system.n_groups)"


def _run(path: str | None) -> list[str]:
    """Run the notebook and a last cell of ours; return what each code cell printed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHECK))
    environment = {name: value for name, value in os.environ.items() if name != "ABDATA"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | ({"ABDATA": path} if path else {})
    # no port is opened: the kernel is spoken to through files
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc")
    nbclient.NotebookClient(notebook, km=manager, timeout=120).execute(env=environment)
    return ["".join(out.get("text", "") for out in cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


def test_tutorial_runs_on_the_generated_panel():
    printed = _run(None)
    assert printed[0].startswith("generated panel (1031, 7)")
    assert any(text.startswith("truth of the generated panel") for text in printed)
    assert printed[-1].startswith("checked 0.6")


def test_tutorial_gives_the_articles_numbers_on_its_data():
    if not DATA.is_file():
        pytest.skip("Arellano and Bond's data are not distributed with this repository")
    assert _run(str(DATA))[-1].startswith("checked 0.6862 0.1446 140")


def test_tutorial_is_committed_with_its_outputs_and_without_traces_of_a_machine():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code" and "import" not in cell.source)
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "stderr" not in text and "/home/" not in text and "ipykernel_" not in text


def test_generated_panel_has_the_shape_of_theirs():
    panel = employment_panel()
    lengths = panel.groupby("id").size()
    assert lengths.value_counts().to_dict() == LENGTHS and len(panel) == 1031
    assert panel["year"].min() == 1976 and panel["year"].max() == 1984
    assert panel.equals(employment_panel()) and not panel.equals(employment_panel(2))


def test_truth_of_the_generated_panel_is_found_over_draws():
    """Mean of 20 draws within three of its standard errors, with wages and capital predetermined as they are made."""
    found = []
    for seed in range(20):
        model = SystemGMM(
            employment_panel(seed), entity="id", time="year", dependent="n", predetermined=["w", "k"], exogenous=["ys"],
            time_effects="level",
        )  # fmt: skip
        found.append(model.fit(steps=1).params[list(TRUTH)])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert np.all(np.abs(mean - np.array(list(TRUTH.values()))) < 3 * error + 0.01)
