"""Small films with text and video, a model fitted on them through the shell, and a way to type commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intermodal.cli import main

N, N_TEST = 61, 20


@dataclass(frozen=True)
class Typed:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def typed(capsys, tmp_path, monkeypatch):
    """Type a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Typed:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Typed(code, said.out, said.err)

    return run


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.array(["bad", "good"])[np.arange(N) % 2]
    text = rng.normal(size=(N, 5))
    text[:, 0] += 3 * (y == "good")
    return {
        "text": text,
        "video": rng.normal(size=(N, 7, 3)),
        "video_len": rng.integers(1, 8, N),
        "rating": y,
        "minutes": 90 + 10 * text[:, 0] + 0.1 * rng.normal(size=N),
        "split": np.where(np.arange(N) < N - N_TEST, "train", "test"),
    }


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("films") / "films.npz"
    np.savez(path, **arrays())
    return path


@pytest.fixture(scope="session")
def model(films) -> Path:
    folder = films.parent / "model"
    short = ["--epochs", "11", "--members", "2"]
    assert main(["fit", str(films), "--target", "rating", "--fusion", "text <-> video", *short, "-o", str(folder)]) == 0
    return folder


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "intermodal", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)


@pytest.fixture
def started():
    """`start`, and nothing is left running."""
    running = []

    def run(*words: object, **options: Any) -> subprocess.Popen[str]:
        running.append(start(*words, **options))
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()
