"""Check what Binder would build, by the Dockerfile that repo2docker writes; nothing is built.

    python tests/launch/binder.py [SITE_PACKAGES]

Run by an environment with requirements.txt beside this file. With the project's site-packages, what the
list adds to Binder's own packages is weighed too. Exit code 0 means: the list is used, with Python 3.11 and
apt.txt's packages, Binder keeps its JupyterLab, nothing else is run, and Jupyter starts through `start`.
"""

import os
import re
import sys
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repo2docker.app import Repo2Docker
from repo2docker.buildpacks.conda import CondaBuildPack

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 800
BYTECODE = 1.3  # pip compiles what it installs: measured, that adds 28 % to what the packages ship


def buildpack() -> CondaBuildPack:
    """Return the first of repo2docker's buildpacks that takes this project."""
    app = Repo2Docker()
    for kind in app.buildpacks:
        pack = kind(app.base_image)
        pack.platform = "linux/amd64"
        if pack.detect():
            return pack
    sys.exit("no buildpack takes this project")


def versions_of_binder(pack: CondaBuildPack) -> dict[str, str]:
    """Return name -> version of what Binder has before the list is read."""
    pack.render({})  # chooses the file for Python 3.11
    [place] = [path for path, target in pack.get_build_script_files().items() if target.endswith(".lock")]
    if not os.path.isabs(place):
        place = os.path.join(os.path.dirname(sys.modules[CondaBuildPack.__module__].__file__), "..", place)
    packages = re.findall(r"/([^/]+)-([^/-]+)-[^/-]+\.(?:conda|tar\.bz2)", Path(place).read_text())
    return {canonicalize_name(name): version for name, version in packages}


def added_mb(site_packages: Path, theirs: dict[str, str], listed: dict[str, Requirement]) -> float:
    """Return the size of what is installed here and not in Binder's own versions there."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    ours = {canonicalize_name(Requirement(line).name) for line in lines}
    total = 0
    for package in distributions(path=[str(site_packages)]):
        name = canonicalize_name(package.name)
        kept = name in theirs and (name not in listed or theirs[name] in listed[name].specifier)
        if name in ours and not kept:
            paths = [Path(file.locate()) for file in package.files or () if file.suffix != ".pyc"]
            total += sum(path.stat().st_size for path in paths if path.exists())
    return total / 1e6


def main() -> int:
    """Check, and print what was seen."""
    os.chdir(ROOT)
    pack = buildpack()
    dockerfile = pack.render({})
    [update] = re.findall(r"env update .*", dockerfile)
    wanted = [line for line in Path("apt.txt").read_text().split("\n") if line and line[0] != "#"]
    pip = next(entry["pip"] for entry in pack.environment_yaml["dependencies"] if isinstance(entry, dict))
    listed = {canonicalize_name(package.name): package for package in map(Requirement, pip)}
    theirs = versions_of_binder(pack)
    checks = {
        "environment.yml is the list": '--file "environment.yml"' in update,
        "Python 3.11": pack.python_version == "3.11",
        "apt.txt's packages": f"--no-install-recommends {' '.join(wanted)} &&" in dockerfile,
        "Binder's JupyterLab is kept": theirs["jupyterlab"] in listed["jupyterlab"].specifier,
        "a commit does not install anew": list(pack.get_preassemble_script_files()) == ["environment.yml"],
        "no postBuild": pack.get_post_build_scripts() == [],
        "Jupyter starts through start": 'R2D_ENTRYPOINT="${REPO_DIR}/start"' in dockerfile,
    }
    if len(sys.argv) > 1:
        megabytes = BYTECODE * added_mb(Path(sys.argv[1]), theirs, listed)
        checks[f"{megabytes:.0f} MB added, under {MOST_MB}"] = 0 < megabytes < MOST_MB
    for what, holds in checks.items():
        print(f"{'ok' if holds else 'WRONG':<7}{what}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
