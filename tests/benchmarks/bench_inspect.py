"""How fast a delivered file is looked at: megabytes per second of CPU, one core, everything a look does.

    python tests/benchmarks/bench_inspect.py [MEGABYTES]

A look decodes, splits, checks and sums up every row (jobs/kernels/sources.py) and hashes the file. Asked for: 150 MB/s for
UTF-8 and 100 for GB 18030 text, 60 for Stata files. The rows are those of the monthly files: seventeen columns, firms and
addresses that repeat as in a month's file.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from conf.layouts import load_layouts
from jobs.kernels.sources import local_file, look_at
from jobs.readers.customs_files import hash_file

ASKED = {"UTF-8 text": 150, "GB 18030 text": 100, "Stata 118": 60, "Stata 114, GB 18030": 60}
N_FIRMS = 20_000
HEADINGS = (
    "日期 进口或出口 税号编码 企业编码 经营单位 单位地址 电话 邮编 消费地或生产地 企业性质 起运国或目的国 口岸海关"
    " 贸易方式 运输方式 中转国 金额 数量"
).split()


def rows(n: int, seed: int = 1) -> pd.DataFrame:
    """Rows of a month's file."""
    rng = np.random.default_rng(seed)
    firm = rng.integers(0, N_FIRMS, n)
    place = np.array(["江苏省常州", "福建省厦门", "浙江省杭州", "上海市浦东", "广东省深圳"])[firm % 5]
    code = np.array([f"{k:08d}" for k in rng.integers(1_000_000, 97_000_000, 3_000)])[rng.integers(0, 3_000, n)]
    partner = np.array(["美国", "日本", "德国", "韩国", "香港", "英国"])[rng.integers(0, 6, n)]
    columns = [
        np.full(n, "200306"), np.where(rng.random(n) < 0.8, "出口", "进口"), code,
        np.array([f"3204{k:06d}" for k in range(N_FIRMS)])[firm],
        np.array([f"常州第{k}电子有限公司" for k in range(N_FIRMS)])[firm],
        np.array([f"江苏省常州市新北区长江路{k}号" for k in range(N_FIRMS)])[firm], np.full(n, "NULL"),
        np.array([f"{213000 + k % 999}" for k in range(N_FIRMS)])[firm], place, np.full(n, "私营企业"), partner,
        np.full(n, "上海海关"), np.full(n, "一般贸易"), np.full(n, "江海运输"), partner,
        rng.lognormal(9, 2, n).round(2).astype(str), rng.integers(1, 10**6, n).astype(str),
    ]
    return pd.DataFrame(dict(zip(HEADINGS, columns, strict=True)))


def write_old_stata(path: Path, frame: pd.DataFrame) -> None:
    """Format 114 with GB 18030 bytes, as Stata 10-13 wrote it in China."""
    from pandas.io.stata import StataWriter

    class OldWriter(StataWriter):
        def _validate_variable_name(self, name: str) -> str:
            return name

    def stored(text: str) -> str:
        return text.encode("gb18030").decode("latin-1")

    OldWriter(path, frame.rename(columns=stored).map(stored), write_index=False).write_file()


def measure(path: Path) -> tuple[float, float]:
    """Megabytes, and seconds of CPU for one look."""
    raw = local_file(path, path.parent)
    start = time.process_time()
    look = look_at(raw, load_layouts())
    hash_file(raw)
    seconds = time.process_time() - start
    assert look.n_rows == look.content.n_rows > 0
    return raw.n_bytes / 1e6, seconds


def main() -> int:
    """Print a line per kind of file; 1 when one is slower than asked for."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    frame = rows(megabytes * 5_000)
    slow = 0
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"data200306_{k}{'.dta' if 'Stata' in name else '.csv'}" for k, name in enumerate(ASKED)}
        frame.to_csv(files["UTF-8 text"], index=False, encoding="utf-8")
        frame.to_csv(files["GB 18030 text"], index=False, encoding="gb18030")
        frame.to_stata(files["Stata 118"], write_index=False, version=118)
        write_old_stata(files["Stata 114, GB 18030"], frame)
        measure(files["UTF-8 text"])
        start = time.process_time()
        size = hash_file(local_file(files["UTF-8 text"], Path(folder)))[1] / 1e6
        # what else the machine does slows every step alike: 1,800 MB/s were measured on it at rest
        print(f"{'hashing alone':<20} {size:7.1f} MB {size / (time.process_time() - start):19.0f} MB/s")
        for name, path in files.items():
            size, seconds = measure(path)
            slow += size / seconds < ASKED[name]
            print(f"{name:<20} {size:7.1f} MB {seconds:6.2f} s CPU {size / seconds:7.0f} MB/s, asked for {ASKED[name]}")
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
