"""Run the job: `python -m report`."""

from report.page import main

raise SystemExit(main())
