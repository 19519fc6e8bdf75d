"""The compiled parts: few tokens, mean weights, steps of training, all subsets; without them torch serves."""

import sys

from setuptools import Extension, setup

FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-psabi"]
MODULE = "src/intermodal/kernel/module.h"

few = Extension(
    "intermodal.kernel._few",
    ["src/intermodal/kernel/few.c"],
    depends=[MODULE, *(f"src/intermodal/kernel/{part}.inc" for part in ("lanes", "few", "pooled", "forget"))],
    extra_compile_args=FLAGS,
    py_limited_api=True,
    optional=True,
)
rows = Extension(
    "intermodal.kernel._rows",
    ["src/intermodal/kernel/rows.c"],
    depends=[f"src/intermodal/kernel/{name}.inc" for name in ("rows", "rows_attend", "rows_weights")],
    extra_compile_args=[*FLAGS, "-pthread"],
    extra_link_args=["-pthread"],
    py_limited_api=True,
    optional=True,
)
STEP = ("before", "whole", "lanes", "product", "model", "attention", "pass", "update")
step = Extension(
    "intermodal.kernel._step",
    [f"src/intermodal/kernel/{part}.c" for part in ("step", "step_v4", "step_v3", "step_any")],
    depends=["src/intermodal/kernel/step.h", *(f"src/intermodal/kernel/step_{part}.inc" for part in STEP)],
    extra_compile_args=FLAGS,
    py_limited_api=True,
    optional=True,
)
mixed = Extension(
    "intermodal.kernel._mixed",
    ["src/intermodal/kernel/mixed.c"],
    depends=[MODULE, "src/intermodal/kernel/mixed.inc"],
    extra_compile_args=FLAGS,
    py_limited_api=True,
    optional=True,
)
setup(
    ext_modules=[] if sys.platform == "win32" else [few, rows, step, mixed],  # its compiler knows no vector types
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
