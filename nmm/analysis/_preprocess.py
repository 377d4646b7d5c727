"""One object that holds a whole preprocessing, to be put on both sides of a comparison."""

import equinox as eqx
from jaxtyping import ArrayLike

from .._custom_types import Series
from ._signal import as_series, bandpass, check_band, detrend, regress_global_signal, zscore


class Preprocess(eqx.Module):
    """Preprocessing of a `(time, regions)` series: call it on simulated and on recorded ones.

    The steps run in this order, each only if asked for: linear detrending, band-pass, regression
    of the global signal, z-score. See the functions of `nmm.analysis` for each; all keep a
    constant region at exactly 0 with finite gradients, and let a NaN through.

        prepare = nmm.analysis.Preprocess(band=(0.008, 0.1), tr=720.0)
        empirical_fc = nmm.analysis.fc(prepare(recording))
        fitting.objectives.fc_concordance(sol["bold"], empirical_fc, preprocess=prepare)
    """

    band: tuple[float, float] | None = eqx.field(static=True, default=None)
    tr: float | None = eqx.field(static=True, default=None)
    order: int = eqx.field(static=True, default=2)
    detrend: bool = eqx.field(static=True, default=True)
    global_signal: bool = eqx.field(static=True, default=False)
    zscore: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.band is not None:
            if self.tr is None:
                raise ValueError("`band` is in Hz and needs `tr`, the sampling period in ms.")
            check_band(self.band, self.tr)

    def __call__(self, series: ArrayLike) -> Series:
        series = as_series(series)
        if self.detrend:
            series = detrend(series)
        if self.band is not None and self.tr is not None:
            series = bandpass(series, self.band, self.tr, order=self.order)
        if self.global_signal:
            series = regress_global_signal(series)
        if self.zscore:
            series = zscore(series)
        return series


Preprocess.__init__.__doc__ = """**Arguments:**

- `band`: lower and upper edge of the Butterworth band-pass, in Hz. `None`: no filter.
- `tr`: sampling period, in ms. Only `band` needs it.
- `order`: order of the band-pass.
- `detrend`: whether to remove a straight line from each region.
- `global_signal`: whether to regress out the average over regions. It changes the level and the
    sign of functional connectivity.
- `zscore`: whether to end with zero mean and unit variance in each region.

**Raises:**

- `ValueError`: `band` without `tr`, or not between 0 and half the sampling rate.
"""
