"""The one type that travels through the playbook: embeddings with one row of outcomes each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Log:
    """What a product writes down: one embedding and one row of outcomes for every query.

    embeddings : (n, d) float32, unit length.
    outcomes : n rows. Seen in production: `day`, `session`, `user`, `segment`, `best_similarity`,
        `answer_topic` (of the first document shown), `no_answer`, `click`, `escalation`,
        `escalation_day` (when a ticket is booked, if there is one). The audit label: `success`.
        Hidden truth, for checking only: `topic`, `rank` of the document that was asked for.
    """

    embeddings: NDArray[np.float32]
    outcomes: pd.DataFrame

    def __post_init__(self) -> None:
        if np.ndim(self.embeddings) != 2 or len(self.embeddings) != len(self.outcomes):
            raise ValueError(
                f"embeddings has shape {np.shape(self.embeddings)} and outcomes {len(self.outcomes)} rows: "
                "give one row of outcomes for each row of an (n, d) array"
            )

    def __len__(self) -> int:
        return len(self.outcomes)

    def where(self, mask: NDArray[np.bool_] | pd.Series) -> "Log":
        """Keep the queries for which `mask`, a boolean of length n, is true."""
        mask = np.asarray(mask)
        if mask.shape != (len(self),) or mask.dtype != bool:
            raise ValueError(f"mask must be {len(self)} booleans, got {mask.dtype} of shape {mask.shape}")
        return Log(self.embeddings[mask], self.outcomes[mask].reset_index(drop=True))

    def days(self, first: int, last: int) -> "Log":
        """Keep the queries of the days `first` to `last`, both included."""
        return self.where(self.outcomes["day"].between(first, last))

    def week(self, number: int) -> "Log":
        """Keep week `number`: the days 7 * number to 7 * number + 6."""
        return self.days(7 * number, 7 * number + 6)
