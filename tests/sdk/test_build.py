"""What the build leaves in dist/."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.sdk.conftest import SDK


def test_a_build_leaves_the_parts_of_the_last_five_for_pages_that_are_open(bundle: Path, tmp_path: Path) -> None:
    for name in ("build.mjs", "package.json", "package-lock.json", "gallery", "src"):
        copy = shutil.copytree if (SDK / name).is_dir() else shutil.copy
        copy(SDK / name, tmp_path / name)
    (tmp_path / "node_modules").symlink_to(SDK / "node_modules")
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "leftover.js").write_text("x")
    for age in range(1, 8):  # days
        for name in (f"tour-{age:010}.js", f"tour-{age:010}.js.br", f"part-{age:08}.js"):
            (dist / name).write_text("x")
            os.utime(dist / name, (0, 1_700_000_000 - age * 86_400))
    node = shutil.which("node")
    assert node
    subprocess.run([node, "build.mjs"], cwd=tmp_path, check=True, capture_output=True)
    left = {path.name for path in dist.iterdir()}
    old = {name for age in range(1, 6) for name in (f"tour-{age:010}.js", f"tour-{age:010}.js.br", f"part-{age:08}.js")}
    gone = {f"tour-{age:010}.js" for age in (6, 7)} | {"leftover.js"}
    assert old <= left
    assert gone.isdisjoint(left)
    assert {path.name for path in bundle.iterdir() if path.is_file()} >= left - old
