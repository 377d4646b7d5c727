"""Conduction delays by the method of steps."""

from ._plan import DelayPlan as DelayPlan, plan_delays as plan_delays
from ._reading import READINGS as READINGS, fractions as fractions
from ._spans import (
    Spans as Spans,
    check_range as check_range,
    find_spans as find_spans,
    left as left,
    refuse_new_edges as refuse_new_edges,
    refuse_outside as refuse_outside,
)
from ._tables import (
    Arrivals as Arrivals,
    Held as Held,
    Tables as Tables,
    with_weights as with_weights,
)
