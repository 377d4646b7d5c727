"""EEG, MEG and intracranial recordings."""

from types import EllipsisType
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from .._custom_types import Key, Parameter, RealScalarLike, Signal
from .._declare import as_float, check_parameters, is_concrete, param
from ._base import Axes
from ._head import SphericalHead, intracranial, inverse_square
from ._lead_field import FIELD, POTENTIAL, LeadField
from ._readout import AbstractReadout


class SensorNoise(eqx.Module):
    r"""Noise of the sensors: independent from sample to sample, $\epsilon \sim N(0, \Sigma)$.

    Sample `k` has the same noise in a run, in one that is continued, and of a saved signal.

    **Arguments:**

    - `covariance`: $\Sigma$, `(sensors, sensors)`; or variances, `(sensors,)` or one for all; in
        the unit of the sensors squared.
    - `key`: of the random numbers. Runs of a batch that share it share the noise.
    """

    factor: Float[Array, "..."]
    key: Key

    def __init__(self, covariance: Any, key: Key):
        typed = eqx.is_array(key) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        if not (typed or (eqx.is_array(key) and key.dtype == jnp.uint32)):
            raise TypeError(
                f"`key` of `SensorNoise` should be a key, as `jax.random.key(0)`; got {key!r}."
            )
        covariance = as_float(covariance)
        shape = covariance.shape
        if covariance.ndim > 2 or (covariance.ndim == 2 and shape[0] != shape[1]):
            raise ValueError(
                "`covariance` should be a number, (sensors,) or (sensors, sensors); got the shape "
                f"{shape}."
            )
        if covariance.ndim < 2:
            self.factor, smallest = jnp.sqrt(covariance), jnp.min(covariance)
        else:
            # Unlike a Cholesky factor, this exists for a matrix that is singular, too.
            values, vectors = jnp.linalg.eigh((covariance + covariance.T) / 2)
            smallest = values[0] + 1e-6 * jnp.abs(values[-1])
            self.factor = vectors * jnp.sqrt(jnp.maximum(values, 0))
        if is_concrete(covariance) and not bool(smallest >= 0):
            raise ValueError("`covariance` should have no negative eigenvalue, and be finite.")
        if is_concrete(covariance) and not np.allclose(covariance, covariance.T):
            raise ValueError("`covariance` should be symmetric.")
        self.key = key

    def __call__(
        self, sample: Float[Array, " sensors"], number: Int[ArrayLike, ""]
    ) -> Float[Array, " sensors"]:
        """The sample of this number with its noise."""
        if self.factor.ndim and self.factor.shape[0] != sample.shape[-1]:
            raise ValueError(
                f"`covariance` of the noise is for {self.factor.shape[0]} sensors, there are "
                f"{sample.shape[-1]}."
            )
        normals = jr.normal(jr.fold_in(self.key, number), sample.shape, sample.dtype)
        noise = normals @ self.factor.T if self.factor.ndim == 2 else self.factor * normals
        return sample + noise.astype(sample.dtype)


class AbstractElectrophysiology(AbstractReadout):
    r"""Sensors that see the dipole moments of the regions through a lead field, averaged over each
    period.

    $$y = P\,(L\,(m \odot x) + \epsilon)$$

    with the signal $x$, the moment $m$ of a region per unit of it, the lead field $L$, the noise
    $\epsilon$ of the sensors, and $P$, which refers potentials to a reference.

    **Arguments:**

    - `lead_field`: a `nmm.observe.LeadField`, or an array in what is `measured` per nA m.
    - `period`: ms from sample to sample.
    - `signal`: see `nmm.observe.AbstractObserver`; with free orientations a function that returns
        `(3, regions)`.
    - `moment`: dipole moment per unit of the signal, in nA m; one, or one a region.
    - `reference`: `"average"`, the name of a sensor, or `None`; by default the `usual_reference`.
    - `noise`: a `nmm.observe.SensorNoise` of the sensors, before they are referred.

    **Attributes:**

    - `measured`: the unit of the sensors.
    - `kind`: the type of the channels in MNE-Python.
    """

    lead_field: LeadField
    period: float = eqx.field(static=True)
    signal: Signal = eqx.field(static=True)
    reference: str | None = eqx.field(static=True)
    noise: SensorNoise | None
    moment: Parameter = param(1.0, unit="nA m", doc="moment per unit of the signal")
    measured: ClassVar[str]
    kind: ClassVar[str]
    usual_reference: ClassVar[str | None]

    # Subclasses name it as theirs, since static checkers would make up another.
    def __init__(
        self,
        lead_field: LeadField | ArrayLike,
        period: RealScalarLike = 1.0,
        signal: Signal = None,
        *,
        moment: Any = 1.0,
        reference: str | EllipsisType | None = ...,
        noise: SensorNoise | None = None,
    ):
        if not isinstance(lead_field, LeadField):
            lead_field = LeadField(lead_field, f"{self.measured}/(nA m)")
        self.lead_field = lead_field
        self.period = float(period)
        self.signal = signal
        self.moment = as_float(moment)
        self.reference = self.usual_reference if isinstance(reference, EllipsisType) else reference
        self.noise = noise

    def __check_init__(self) -> None:
        check_parameters(self)
        name, field = type(self).__name__, self.lead_field
        if field.measured not in (self.measured, "1"):
            raise ValueError(
                f"`lead_field` of `{name}` should be in {self.measured} per nA m, got one in "
                f"{field.measured}."
            )
        if np.shape(self.moment) not in ((), (field.sources,)):
            raise ValueError(
                f"`moment` of `{name}` should be one number, or {field.sources}, one a source of "
                f"`lead_field`; got the shape {np.shape(self.moment)}."
            )
        if self.measured == FIELD and self.reference is not None:
            raise ValueError(
                f"`reference` of `{name}` should be None, since fields are not referred; got "
                f"{self.reference!r}."
            )
        if self.reference not in (None, "average", *field.sensors):
            raise ValueError(
                f'`reference` should be None, "average" or one of the sensors '
                f"{list(field.sensors)}; got {self.reference!r}."
            )

    def readout(self, mean: Float[Array, "*shape"]) -> Float[Array, "*batch sensors"]:
        return self._refer(self.lead_field.project(self.moment * mean))

    def disturb(
        self, sample: Float[Array, "*batch sensors"], number: Int[ArrayLike, ""]
    ) -> Float[Array, "*batch sensors"]:
        return sample if self.noise is None else self._refer(self.noise(sample, number))

    def _refer(self, potential: Float[Array, "*batch sensors"]) -> Float[Array, "*batch sensors"]:
        if self.reference is None:
            return potential
        if self.reference == "average":
            return potential - jnp.mean(potential, axis=-1, keepdims=True)
        return potential - potential[..., [self.lead_field.sensors.index(self.reference)]]

    def unit(self, signal: str | None) -> str | None:
        return None if self.lead_field.measured == "1" else self.measured

    @property
    def axes(self) -> Axes:
        return (("sensor", self.lead_field.sensors),)

    def to_mne(self, samples: ArrayLike, *, start: RealScalarLike = 0.0) -> Any:
        """Samples as an object of MNE-Python; see `nmm.observe.to_mne`."""
        from ._export import to_mne

        return to_mne(self, samples, start=start)


class EEG(AbstractElectrophysiology):
    """Scalp potentials in µV, averaged over each period, by default against their average; see
    `nmm.observe.AbstractElectrophysiology` for the arguments.

    `EEG.spherical(connectome.centres)` needs no lead field.
    """

    measured = POTENTIAL
    kind = "eeg"
    usual_reference = "average"
    __init__ = AbstractElectrophysiology.__init__

    @classmethod
    def spherical(
        cls,
        centres: ArrayLike | None,
        period: RealScalarLike = 1.0,
        signal: Signal = None,
        *,
        electrodes: Any = "10-20",
        orientations: ArrayLike | None = None,
        head: SphericalHead | None = None,
        **options: Any,
    ) -> "EEG":
        """EEG on a spherical head around the sources, with no data at all.

        **Arguments:**

        - `centres`: of the regions, in mm, such as `connectome.centres`.
        - `electrodes`, `orientations`: see `nmm.observe.SphericalHead.electric`.
        - `head`: four shells by default.
        - `options`: `moment`, `reference`, `noise`.
        """
        head = SphericalHead() if head is None else head
        return cls(head.electric(centres, electrodes, orientations), period, signal, **options)


class MEG(AbstractElectrophysiology):
    """Magnetic fields in fT, averaged over each period; see
    `nmm.observe.AbstractElectrophysiology` for the arguments."""

    measured = FIELD
    kind = "mag"
    usual_reference = None
    __init__ = AbstractElectrophysiology.__init__

    @classmethod
    def spherical(
        cls,
        centres: ArrayLike | None,
        period: RealScalarLike = 1.0,
        signal: Signal = None,
        *,
        sensors: int | np.integer | ArrayLike = 102,
        orientations: ArrayLike | None = None,
        head: SphericalHead | None = None,
        **options: Any,
    ) -> "MEG":
        """MEG by magnetometers around a spherical head, with no data at all.

        **Arguments:**

        - `centres`: of the regions, in mm, such as `connectome.centres`.
        - `sensors`, `orientations`: see `nmm.observe.SphericalHead.magnetic`.
        - `options`: `moment`, `noise`.
        """
        head = SphericalHead() if head is None else head
        return cls(head.magnetic(centres, sensors, orientations), period, signal, **options)


class SEEG(AbstractElectrophysiology):
    """Potentials of contacts within the brain, averaged over each period; see
    `nmm.observe.AbstractElectrophysiology` for the arguments.

    For a bipolar montage give `lead_field.bipolar()`.
    """

    measured = POTENTIAL
    kind = "seeg"
    usual_reference = None
    __init__ = AbstractElectrophysiology.__init__

    @classmethod
    def homogeneous(
        cls,
        contacts: ArrayLike,
        centres: ArrayLike | None,
        period: RealScalarLike = 1.0,
        signal: Signal = None,
        *,
        conductivity: RealScalarLike = 0.33,
        orientations: ArrayLike | None = None,
        floor: RealScalarLike = 2.0,
        names: Any = None,
        **options: Any,
    ) -> "SEEG":
        r"""Contacts that see dipoles in a homogeneous medium, $q \cdot d / (4\pi\sigma d^3)$.

        **Arguments:**

        - `contacts`, `centres`: of contacts and regions, in mm, in the same coordinates.
        - `conductivity`: in S/m.
        - `orientations`: `(regions, 3)`; away from the middle of the regions by default.
        - `floor`: the distance in mm that nearer contacts count as having.
        - `names`: of the contacts.
        - `options`: `moment`, `reference`, `noise`.
        """
        field = intracranial(
            contacts,
            centres,
            conductivity=conductivity,
            orientations=orientations,
            floor=floor,
            names=names,
        )
        return cls(field, period, signal, **options)

    @classmethod
    def inverse_square(
        cls,
        contacts: ArrayLike,
        centres: ArrayLike | None,
        period: RealScalarLike = 1.0,
        signal: Signal = None,
        *,
        floor: RealScalarLike = 2.0,
        names: Any = None,
        **options: Any,
    ) -> "SEEG":
        r"""Contacts that see each region by $1/d^2$, in 1/mm²: a proxy that has no orientations.

        **Arguments:** as for `SEEG.homogeneous`.
        """
        field = inverse_square(contacts, centres, floor=floor, names=names)
        return cls(field, period, signal, **options)
