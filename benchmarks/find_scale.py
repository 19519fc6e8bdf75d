"""The index at 100,000 clips: milliseconds a query, what is found, what it weighs on disk, how fast it is written.

    python benchmarks/find_scale.py             100,000 vectors of 256, some minutes of one core
    python benchmarks/find_scale.py --quick     10,000 vectors
    python benchmarks/find_scale.py --write     write benchmarks/results/find/scale.json too

Vectors lie in clusters, as embeddings do. Queries come in two kinds: as clips lie, and with a gap, as texts lie beside
clips. Every query is asked alone, on one thread; a time is the median of processor milliseconds, except where a server
in another process answers: there it is the clock's. What is found is the share of the true 100 nearest, which a plain
matrix product of numpy says. Each way of ours stands beside the bare library on the same vectors and the same graph;
above 1, ours takes longer: it brings ids and metadata.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np

from intermodal.find.index import ClipIndex

RESULTS = Path(__file__).resolve().parent / "results" / "find"
WIDTH, K = 256, 100
EFS = (100, 200, 400)
Found = Callable[[np.ndarray], Any]


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def data(n: int, n_queries: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Clips in clusters, few large and many small; queries that lie as they do, and queries across a gap."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n // 300, WIDTH))
    sizes = 1 / np.arange(1, len(centres) + 1) ** 0.7

    def drawn(m: int) -> np.ndarray:
        which = rng.choice(len(centres), size=m, p=sizes / sizes.sum())
        return unit(centres[which] + rng.normal(size=(m, WIDTH)))

    clips, like = drawn(n), drawn(n_queries)
    gap = unit(rng.normal(size=(1, WIDTH)))
    across = unit(drawn(n_queries) + gap + 0.5 * unit(rng.normal(size=(n_queries, WIDTH))))
    return clips, {"like clips": like, "across a gap": across}


def asked(find: Found, queries: np.ndarray, clock: Callable[[], float] = time.process_time) -> tuple[float, list[Any]]:
    """The median of milliseconds a query, and what was found."""
    find(queries[:1])
    taken, found = [], []
    for query in queries:
        started = clock()
        found.append(find(query[None]))
        taken.append(1e3 * (clock() - started))
    return statistics.median(taken), found


def share(found: list[Any], truth: np.ndarray) -> float:
    return float(np.mean([len(set(map(int, f)) & set(t.tolist())) / K for f, t in zip(found, truth, strict=True)]))


def rows_of(index: ClipIndex, **options: Any) -> Found:
    return lambda query: [int(hit.id) for hit in index.search(query, K, **options)[0]]


def bare(table: Any, options: Any = None) -> Found:
    return lambda query: table.search(query, K, params=options)[1][0]


def measured(name: str, find: Found, sets: dict[str, Any], base: dict[str, Any] | None, clock: Any) -> dict[str, Any]:
    """One line of the table."""
    line: dict[str, Any] = {"name": name}
    for kind, (queries, truth) in sets.items():
        line[f"ms, {kind}"], found = asked(find, queries, clock)
        line[f"recall, {kind}"] = share(found, truth)
    line["ratio"] = None if base is None else line["ms, like clips"] / base["ms, like clips"]
    shown = [line[f"{what}, {kind}"] for what in ("ms", "recall") for kind in sets]
    over = "" if base is None else f"{line['ratio']:8.2f}"
    print(f"{name:<46}" + "".join(f"{value:9.3f}" for value in shown) + over, flush=True)
    return line


def searching(at: Path, clips: np.ndarray, queries: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    table = clips.T.copy()
    sets = {kind: (q, np.argsort(-(q @ table), axis=1)[:, :K]) for kind, q in queries.items()}
    print(f"{'':<46}" + "".join(f"{w:>9}" for w in ("ms", "ms gap", "R@100", "R gap", "x bare")))
    clock = time.process_time

    def by_numpy(query: np.ndarray) -> np.ndarray:
        scores = (query @ table)[0]
        best = np.argpartition(-scores, K)[:K]
        return np.asarray(best[np.argsort(-scores[best])])

    lines = [measured("numpy, a matrix product", by_numpy, sets, None, clock)]
    flat = faiss.IndexFlatIP(WIDTH)
    flat.add(clips)
    lines.append(measured("faiss, exact", bare(flat), sets, None, clock))
    with ClipIndex.open(at / "exact") as index:
        lines.append(measured("ours, exact", rows_of(index), sets, lines[-1], clock))
        half = rows_of(index, where={"half": True})
        milliseconds, _ = asked(half, queries["like clips"])
        tenth, _ = asked(rows_of(index, where={"part": 3}), queries["like clips"])
        grouped, _ = asked(rows_of(index, group="video"), queries["like clips"])
        print(
            f"ours, exact: a filter to a half {milliseconds:.1f} ms, to a hundredth {tenth:.1f}; by video {grouped:.1f}"
        )
        lines[-1] |= {"ms, half": milliseconds, "ms, hundredth": tenth, "ms, grouped": grouped}
    with ClipIndex.open(at / "graph") as index:
        graph = index.store._near._graph  # the very same graph without us
        for ef in EFS:
            options = faiss.SearchParametersHNSW(efSearch=ef)
            lines.append(measured(f"faiss, graph, {ef} candidates", bare(graph, options), sets, None, clock))
            index.store.set_ef(ef)
            lines.append(measured(f"ours, graph, {ef} candidates", rows_of(index), sets, lines[-1], clock))
        for kind, q in queries.items():
            started = time.process_time()
            found = index.tune(q, k=K, recall=0.95)
            print(
                f"tuned for .95 on queries {kind}: {list(found)[-1]} candidates, {time.process_time() - started:.0f} s"
            )
    return lines


def writing(at: Path, clips: np.ndarray) -> dict[str, Any]:
    """Fill an exact index and one with a graph; the rates are by the clock, since a disk is waited for."""
    ids = [str(i) for i in range(len(clips))]
    said = [{"video": i // 10, "half": i % 2 == 0, "part": i % 100} for i in range(len(clips))]
    facts: dict[str, Any] = {}
    for name, below in (("exact", 2 * len(clips)), ("graph", len(clips) - 1)):
        with ClipIndex.create(at / name, fingerprint="m", width=WIDTH, exact_below=below) as index:
            started, cpu = time.perf_counter(), time.process_time()
            for i in range(0, len(clips), 1000):
                piece = slice(i, i + 1000)
                index.add(ids[piece], clips[piece], said[piece])
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            facts[name] = {"rows a second, 1,000 a time": len(clips) / seconds, "processor seconds": cpu}
        facts[name] |= opened(at / name)
    with ClipIndex.open(at / "exact") as index:
        for size, times in ((1, 100), (100, 20)):
            started = time.perf_counter()
            for i in range(times):
                some = [f"{size}:{i}:{j}" for j in range(size)]
                index.add(some, clips[:size])
            facts["exact"][f"rows a second, {size} a time"] = size * times / (time.perf_counter() - started)
            gone = [f"{size}:{i}:{j}" for i in range(times) for j in range(size)]
            started = time.perf_counter()
            index.delete(gone)
            facts["exact"][f"seconds to delete {len(gone)}"] = time.perf_counter() - started
    for name, found in facts.items():
        print(f"{name}: " + "; ".join(f"{what} {value:,.2f}" for what, value in found.items()), flush=True)
    return facts


def opened(folder: Path) -> dict[str, float]:
    started = time.process_time()
    with ClipIndex.open(folder) as index:
        n, seconds = len(index), time.process_time() - started
    size = sum(file.stat().st_size for file in folder.iterdir())
    return {"bytes a vector": size / n, "processor seconds to open, every record proven": seconds}


def on_a_server(at: Path, clips: np.ndarray, queries: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The first 20,000 on a small Milvus server on loopback, where it is installed: made for tests, not for speed."""
    clips = clips[:20_000]
    command = Path(sys.executable).parent / "milvus-lite"
    if not command.is_file():
        print("milvus-lite is not installed: no line for a server")
        return []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    data_dir = ["--data-dir", str(at / "milvus"), "--host", "127.0.0.1", "--port", port]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    table = clips.T.copy()
    sets = {kind: (q[:10], np.argsort(-(q[:10] @ table), axis=1)[:, :K]) for kind, q in queries.items()}
    from intermodal.find import store_milvus

    store_milvus.ATTEMPTS = 9
    with subprocess.Popen([str(command), "server", *data_dir], **quiet) as process:  # type: ignore[call-overload]
        try:
            uri = f"http://127.0.0.1:{port}"
            with ClipIndex.create(at / "far", fingerprint="m", width=WIDTH, server=uri) as index:
                started = time.perf_counter()
                for i in range(0, len(clips), 1000):
                    index.add([str(j) for j in range(i, min(i + 1000, len(clips)))], clips[i : i + 1000])
                rate = len(clips) / (time.perf_counter() - started)
                line = measured(
                    f"ours, Milvus lite, {len(clips):,} exact (clock)", rows_of(index), sets, None, time.perf_counter
                )
                print(f"server: {rate:,.0f} rows a second, 1,000 a time")
                return [{**line, "rows a second": rate}]
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    n, n_queries = (10_000, 50) if options.quick else (100_000, 200)
    faiss.omp_set_num_threads(1)
    started = time.process_time()
    clips, queries = data(n, n_queries)
    print(f"{n:,} vectors of {WIDTH}, {n_queries} queries a kind, k = {K}, one thread")
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        facts = writing(at, clips)
        lines = searching(at, clips, queries)
        lines += on_a_server(at, clips, queries)
    seconds = time.process_time() - started
    print(f"{seconds:.0f} processor seconds")
    if options.write:
        RESULTS.mkdir(parents=True, exist_ok=True)
        result = {"n": n, "width": WIDTH, "k": K, "queries": n_queries, "lines": lines, "writing": facts}
        (RESULTS / "scale.json").write_text(json.dumps({**result, "processor_seconds": seconds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
