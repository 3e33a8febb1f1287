"""Settings of the site for Sphinx. tools/site.py lays out the pages and calls it."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # Sphinx runs this file from another folder

from tools.assets import mathjax  # noqa: E402

setting = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"].get(
    "playbook", {}
)
repository, ref = setting.get("repository", ""), setting.get("ref", "main")

project = "The Embedding Drift Playbook"
author = copyright = ""
extensions = ["myst_nb", "sphinx.ext.mathjax"]
root_doc = "index"
exclude_patterns = ["_build"]
highlight_language = "none"

nb_execution_mode = "off"  # the committed outputs are shown
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
mathjax_path = mathjax().name

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["static", str(mathjax())]
html_favicon = "static/favicon.svg"
html_css_files = ["playbook.css"]
templates_path = ["templates"]
html_use_index = False
html_copy_source = True  # a notebook's download button hands out this copy
html_show_sphinx = html_show_copyright = False
html_theme_options = {
    "home_page_in_toc": False,
    "navbar_persistent": [],
    "max_navbar_depth": 1,  # the notes for teachers are listed on the guide's page
    "show_toc_level": 2,
    "use_fullscreen_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_content_items": ["extra-footer.html"],
    "extra_footer": "<p>BSD-3-Clause. This site asks no other machine for anything.</p>",
}
if repository:
    html_theme_options |= {
        "repository_url": f"https://github.com/{repository}",
        "repository_branch": ref,
        "use_repository_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }
else:
    html_theme_options["extra_footer"] += (
        "<p>No launch buttons: this copy does not know the project's address. "
        "<code>python3 playbook.py links OWNER/REPO</code> sets it; then build the site again.</p>"
    )
