"""One setting says where the project is, and every link, first cell and page agrees with it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tools import links
from tools.links import Setting

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.name for path in (ROOT / "notebooks").glob("??_*.ipynb"))
SOMEWHERE = Setting("some-body/a.playbook_1", "v1.2")


@pytest.fixture
def copy(tmp_path):
    """A copy of what carries the address, without one."""
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("notebooks", "teaching"):
        if (ROOT / folder).exists():
            shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("data"))
    links.main(["--unset"], tmp_path)
    return tmp_path


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def text_of(root, name, cell):
    """Return the text of one cell of a notebook."""
    return "".join(json.loads((root / "notebooks" / name).read_text("utf-8"))["cells"][cell]["source"])


def test_every_file_says_what_the_setting_says():
    assert links.stale() == []


def test_an_address_that_is_set_and_taken_out_leaves_no_byte_changed(copy):
    before = contents(copy)
    assert links.main(["some-body/a.playbook_1", "--ref", "v1.2"], copy) == 0
    between = contents(copy)
    assert links.setting(copy) == SOMEWHERE and links.stale(copy) == []
    assert links.main(["--unset"], copy) == 0
    assert contents(copy) == before
    changed = {name for name in before if before[name] != between[name]}
    sources = {f"{Path(name).stem}.py" for name in NAMES}
    assert {Path(name).name for name in changed} >= {*NAMES, *sources, "README.md", "pyproject.toml"}


def test_a_second_run_writes_nothing(copy, capsys):
    links.main(["some-body/a.playbook_1"], copy)
    capsys.readouterr()
    links.main([], copy)
    assert capsys.readouterr().out == "0 files changed. Launched from: some-body/a.playbook_1, main.\n"


def test_only_the_launch_paragraph_and_the_set_up_cell_of_a_notebook_change(copy):
    before = {name: json.loads((copy / "notebooks" / name).read_text("utf-8")) for name in NAMES}
    links.main(["some-body/a.playbook_1", "--ref", "v1.2"], copy)
    for name in NAMES:
        after = json.loads((copy / "notebooks" / name).read_text("utf-8"))
        pairs = list(zip(before[name]["cells"], after["cells"], strict=True))
        assert [place for place, (old, new) in enumerate(pairs) if old != new] == [0, 1]
        for old, new in pairs:
            old.pop("source"), new.pop("source")
        assert after == before[name]


@pytest.mark.parametrize("name", NAMES)
def test_each_notebook_links_to_itself(copy, name):
    links.main(["some-body/a.playbook_1", "--ref", "v1.2"], copy)
    found = re.findall(r"\((https://\S+)\)", text_of(copy, name, 0).split("\n\n")[2])
    place = f"some-body/a.playbook_1/v1.2?urlpath=lab/tree/notebooks/{name}"
    assert found == [
        f"https://mybinder.org/v2/gh/{place}",
        f"https://colab.research.google.com/github/some-body/a.playbook_1/blob/v1.2/notebooks/{name}",
    ]
    assert 'REPOSITORY, REF = "some-body/a.playbook_1", "v1.2"' in text_of(copy, name, 1)


@pytest.mark.parametrize("name", NAMES)
def test_without_an_address_a_notebook_says_how_to_set_it_and_links_to_nobody(copy, name):
    paragraph = text_of(copy, name, 0).split("\n\n")[2]
    assert f"playbook.py open {name[:2]}`" in paragraph and "playbook.py links OWNER/REPO" in paragraph
    assert "](http" not in paragraph
    assert 'REPOSITORY, REF = "", "main"' in text_of(copy, name, 1)


def test_a_marked_place_of_a_page_gets_the_links_of_its_notebook(copy):
    (copy / "teaching").mkdir(exist_ok=True)
    page = copy / "teaching" / "page.md"
    page.write_text("before\n<!-- launch 02 -->\nold\n<!-- /launch -->\nafter\n")
    links.main(["some-body/a.playbook_1"], copy)
    text = page.read_text("utf-8")
    assert text.startswith("before\n<!-- launch 02 -->\n") and text.endswith("\n<!-- /launch -->\nafter\n")
    assert text.count("/02_quantify_drift.ipynb") == 2 and "old" not in text
    assert (copy / "README.md").read_text("utf-8").count("/00_break_a_product.ipynb)**") == 2


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("some-body/play", "some-body/play"),
        ("https://github.com/some-body/play", "some-body/play"),
        ("https://github.com/some-body/play.git", "some-body/play"),
        ("https://github.com/some-body/play/", "some-body/play"),
    ],
)
def test_an_address_is_taken_as_a_name_or_as_a_link(given, found):
    assert links.checked(given, "main") == Setting(found, "main")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["playbook"], "'playbook' is not a repository: give OWNER/REPO"),
        (["a b/c"], "is not a repository"),
        (["-a/c"], "arguments"),
        (["a/b/c"], "is not a repository"),
        (["a/.."], "more than dots"),
        (['a/"; rm'], "is not a repository"),
        (["https://elsewhere.example/a/b"], "is not a repository"),
        (["a/b", "--ref", "feature/x"], "'feature/x' is no ref to launch from: give a branch or a tag"),
        (["a/b", "--ref", "v1..2"], "is no ref"),
        (["--ref", "v1"], "'' is not a repository"),
        (["a/b", "--unset"], "--unset takes no address"),
        (["--hub", "https://hub.example"], "--hub needs an address"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_written(args, message, copy, capsys):
    before = contents(copy)
    with pytest.raises(SystemExit) as done:
        links.main(args, copy)
    assert done.value.code == 2
    assert message in capsys.readouterr().err
    assert contents(copy) == before


@pytest.mark.parametrize("lost", ["**Launch:** ", "REPOSITORY, REF = "])
def test_a_notebook_without_its_place_for_the_address_is_named_and_nothing_is_written(lost, copy, capsys):
    source = copy / "notebooks" / "source" / "02_quantify_drift.py"
    source.write_text(source.read_text("utf-8").replace(lost, "gone "), "utf-8")
    before = contents(copy)
    with pytest.raises(SystemExit):
        links.main(["some-body/play"], copy)
    assert "02_quantify_drift" in capsys.readouterr().err
    assert contents(copy) == before


def test_an_interrupted_run_leaves_whole_files_and_is_repeated(copy, monkeypatch):
    written = []

    def stop_at_the_fifth(path, text):
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt
        write(path, text)

    write = links.write
    monkeypatch.setattr(links, "write", stop_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        links.main(["some-body/play"], copy)
    assert links.setting(copy) == Setting() and len(links.stale(copy)) == 4
    monkeypatch.setattr(links, "write", write)
    links.main(["some-body/play"], copy)
    assert links.stale(copy) == [] and links.setting(copy).repository == "some-body/play"
    assert not list(copy.rglob("*.tmp"))


def test_a_hub_of_your_own_gets_one_link_for_each_notebook(copy, capsys):
    links.main(["some-body/play", "--hub", "https://hub.example/"], copy)
    found = re.findall(
        r"^https://hub\.example/hub/user-redirect/git-pull\?.*$", capsys.readouterr().out, re.M
    )
    assert len(found) == len(NAMES)
    assert found[2].endswith(
        "?repo=https%3A%2F%2Fgithub.com%2Fsome-body%2Fplay&branch=main"
        f"&urlpath=lab%2Ftree%2Fplay%2Fnotebooks%2F{NAMES[2]}"
    )
