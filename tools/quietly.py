"""Run a module as `python -m` does; Ctrl-C ends it with a word instead of a traceback, imports included.

python -m tools.quietly MODULE [ARGUMENT ...]
"""

import runpy
import sys

if __name__ == "__main__":
    del sys.argv[0]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)
