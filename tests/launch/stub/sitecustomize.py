"""Colab's kernel has imported this module before the first cell runs."""

import google.colab  # noqa: F401
