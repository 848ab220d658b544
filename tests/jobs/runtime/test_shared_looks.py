"""Executors look at files as the driver does, and a refusal there comes back as its sentence."""

from __future__ import annotations

import pytest

from conf.layouts import load_layouts
from jobs.core.errors import InputRefusedError
from jobs.kernels.raw_folder import raw_folder
from jobs.kernels.side_by_side import look_side_by_side
from jobs.kernels.sources import look_at
from jobs.runtime.executors import explained_refusals, run_on_executors, spread

HEADINGS = "shipment_date,exp_or_imp,hs_id,value,party_id,company,city,country"
ROW = "200501,0,84713010,1500,3204910001,某公司,江苏省常州,美国"


@pytest.mark.spark
def test_executors_look_as_the_driver_does(spark, tmp_path):
    (tmp_path / "200501.csv").write_text(f"{HEADINGS}\n{ROW}\n" * 2, "utf-8")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    folder = raw_folder(tmp_path)
    files = [(name, folder.size_of(name)) for name in ("200501.csv", "bad.csv")]
    good, bad = look_side_by_side(
        folder, files, load_layouts(), run_on_executors(spark), strict=False, flow_in_name=str.strip
    )
    assert good.look == look_at(folder.file("200501.csv"), load_layouts()) and good.look.n_rows == 2
    assert "match none of the" in str(bad.refused)


@pytest.mark.spark
def test_a_refusal_on_an_executor_comes_back_as_its_sentence(spark, tmp_path):
    task = '[{"source_file": "x.csv", "file_sha256": "", "n_bytes": 5, "years": [2005], "wanted": [2005], "month": null,'
    task += ' "parts": "[]", "pieces": []}]'
    with pytest.raises(InputRefusedError, match="^x.csv: received with 5 bytes, it is gone"), explained_refusals():
        spread(
            spark, [task], "jobs.kernels.loading.load_task", (str(tmp_path), load_layouts()), "source_year int"
        ).collect()
