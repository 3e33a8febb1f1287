"""Stands in for what tells the set-up cell that it runs on Colab."""
