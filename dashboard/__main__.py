"""Start the demo: `python -m dashboard`."""

from dashboard.demo import main

raise SystemExit(main())
