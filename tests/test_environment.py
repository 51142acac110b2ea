"""The environment of a folder that was copied or moved: `make` makes it anew, and nothing runs the code of another."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

STUB_PYTHON = """#!/bin/sh
# makes an environment as "python3 -m venv .venv" does, with a pip and a uv that need no network
"{python}" -m venv --without-pip "$3" || exit 1
echo made >> made
(cd "$3"/lib/python*/site-packages && touch pip.py)
cat > "$3/bin/uv" <<'END'
#!/bin/sh
[ "$3" = --python ] || {{ echo "this may go into another environment, which is active" >&2; exit 1; }}
cd "$(dirname "$4")"/../lib/python*/site-packages && echo "$OLDPWD" > editable.pth
END
chmod +x "$3/bin/uv"
"""

TELLS_ITS_CODE = "import flows, sys; print(flows.__file__, sys.prefix, sep='\\n')\n"


class Project:
    """A folder with the real Makefile, and a flow that prints which code and which environment it runs in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def made(cls, folder: Path) -> "Project":
        (folder / "flows").mkdir(parents=True)
        (folder / "flows" / "__init__.py").touch()
        (folder / "flows" / "compare.py").write_text(TELLS_ITS_CODE)
        for name in ("pyproject.toml", "requirements.lock"):
            (folder / name).touch()
        shutil.copy2(ROOT / "Makefile", folder)
        stub = folder.parent / "stub-python"
        stub.write_text(STUB_PYTHON.format(python=sys.executable))
        stub.chmod(0o755)
        project = cls(folder)
        project.make()
        return project

    def make(self, **environment: str) -> subprocess.CompletedProcess[str]:
        without_ours = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MAKEFLAGS"}}
        done = subprocess.run(
            ["make", "--no-print-directory", f"PYTHON='{self.folder.parent / 'stub-python'}'", "compare"],
            cwd=self.folder,
            env={**without_ours, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done

    @property
    def times_made(self) -> int:
        return len((self.folder / "made").read_text().splitlines())

    def runs_its_own(self, done: subprocess.CompletedProcess[str]) -> bool:
        code, environment = done.stdout.splitlines()[-2:]
        return Path(code).parent == self.folder / "flows" and Path(environment) == self.folder / ".venv"


@pytest.fixture(params=["plain", "with blanks, a comma and it's quoted"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    (tmp_path / "place").mkdir()
    return Project.made(tmp_path / "place" / request.param)


def test_an_environment_at_its_place_is_kept(project: Project) -> None:
    again = project.make()
    assert project.runs_its_own(again)
    assert again.stderr == ""
    assert project.times_made == 1


def test_that_of_a_copied_folder_is_made_anew_and_the_first_stays_as_it_is(project: Project) -> None:
    copy = Project(project.folder.with_name("the copy"))
    shutil.copytree(project.folder, copy.folder, symlinks=True)
    done = copy.make(VIRTUAL_ENV=str(project.folder / ".venv"))
    assert copy.runs_its_own(done)
    assert f"The environment .venv was made in {project.folder}: it is made anew for this folder" in done.stderr
    assert copy.make().stderr == ""
    assert copy.times_made == 2
    assert project.runs_its_own(project.make())
    assert project.times_made == 1


def test_that_of_a_moved_folder_is_made_anew(project: Project) -> None:
    moved = Project(project.folder.rename(project.folder.with_name("elsewhere")))
    assert moved.runs_its_own(moved.make())
    assert moved.times_made == 2


def test_one_that_is_linked_to_another_folders_is_replaced_and_the_other_stays(project: Project) -> None:
    other = Project(project.folder.with_name("other"))
    shutil.copytree(project.folder, other.folder, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    (other.folder / ".venv").symlink_to(project.folder / ".venv")
    assert other.runs_its_own(other.make())
    assert project.runs_its_own(project.make())
    assert project.times_made == 1


def test_one_that_lies_on_another_disk_or_under_another_name_of_the_folder_is_kept(project: Project) -> None:
    disk = project.folder.with_name("disk")
    (project.folder / ".venv").rename(disk)
    (project.folder / ".venv").symlink_to(disk)
    assert project.make().stderr == ""
    assert project.times_made == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], f" runs the code of {ROOT}, not that of {{folder}}: make compare, called in that folder, makes"),
        # without installed packages, as where the first folder is gone
        (["-S"], " does not find the code of {folder}: make compare, called in that folder, makes"),
    ],
    ids=["copied", "moved"],
)
def test_the_script_of_another_folder_is_told_with_its_remedy(options: list[str], said: str, tmp_path: Path) -> None:
    script = tmp_path / "flows" / "compare.py"
    script.parent.mkdir()
    shutil.copy2(ROOT / "flows" / "compare.py", script)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if not options:
        environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, *options, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"compare: {sys.executable}{said.format(folder=tmp_path)}")
    assert done.stderr.count("\n") == 1


def test_the_command_of_a_copied_environment_is_told_with_its_remedy(tmp_path: Path) -> None:
    script = tmp_path / ".venv" / "bin" / "mf-or-dnn"
    script.parent.mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    script.write_text("from flows.command_line import main\n\nmain()\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script, "--plan"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        f"mf-or-dnn: {script} was copied from {sys.prefix} and runs the code there: call make"
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_project_copied_with_its_environment_runs_its_own_code_after_make(tmp_path: Path) -> None:
    folder = tmp_path / "a copy"
    left_out = shutil.ignore_patterns(".git", ".venv", ".recsys", ".deploy", "reports", "incoming", ".*cache")
    shutil.copytree(ROOT, folder, ignore=left_out)
    shutil.copytree(sys.prefix, folder / ".venv", symlinks=True)
    options = folder / "flows" / "options.py"
    options.write_text(options.read_text().replace("Without options:", "This is the copy. Without options:"))
    installed = [path for path in Path(sys.prefix).glob("lib/*/site-packages/*mf_or_dnn*") if path.is_file()]
    before = {path: path.read_bytes() for path in (Path(sys.prefix) / "pyvenv.cfg", *installed)}

    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    made = subprocess.run(
        ["make", "compare", "ARGS=--help"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert "This is the copy." in made.stdout
    command = [str(folder / ".venv" / "bin" / "mf-or-dnn"), "--help"]
    assert "This is the copy." in subprocess.run(command, env=environment, capture_output=True, text=True).stdout
    assert {path: path.read_bytes() for path in before} == before
