"""The compiled part: attention over few tokens. Where it cannot be built, the package does without."""

import sys

from setuptools import Extension, setup

FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wno-psabi"]

few = Extension(
    "intermodal.kernel._few",
    ["src/intermodal/kernel/few.c"],
    depends=["src/intermodal/kernel/few.inc"],
    extra_compile_args=FLAGS,
    py_limited_api=True,
    optional=True,
)
setup(
    ext_modules=[] if sys.platform == "win32" else [few],  # its compiler knows no vector types
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
