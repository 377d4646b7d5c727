"""What goes before a fit."""

import dataclasses
from typing import Any

from ._loss import Loss


@dataclasses.dataclass(frozen=True)
class Stage:
    """A fit from whose best values another one starts.

    It moves the same parameters by a loss of its own, one that is cheaper or knows no noise. Given
    a closed form, `fitting.fit` ends by simulation what begins with linear response:

    ```python
    def closed(net):
        response = nmm.analysis.linear_response(net, save={"bold": bold}, throw=False)
        return 1 - fitting.objectives.fc_concordance(response.fc(), fc, simulated_is="fc")

    result = fitting.fit(loss, net, free, start=fitting.Stage(closed, steps=200), key=key)
    result.start.history["loss"], result.history["loss"]
    ```

    **Attributes:**

    - `loss`: a pure function `loss(model)`, which gets no key.
    - `optimizer`, `steps`: as in `fitting.fit`.
    - `start`: the stage before this one, or its loss; `None` for none.
    """

    loss: Loss
    optimizer: Any = None
    steps: int = 100
    start: Any = None

    @classmethod
    def of(cls, start: Any) -> "Stage":
        """The stage, also of a loss alone.

        **Raises:**

        - `TypeError` if it is neither.
        """
        if isinstance(start, Stage):
            return start
        if not callable(start):
            raise TypeError(
                f"`start` should be a `fitting.Stage` or a loss that needs no key, got {start!r}."
            )
        return cls(start)
