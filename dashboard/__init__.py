"""What an operator deploys, and a demo of it: `python -m dashboard`."""
