"""Differentiable neural mass models."""

from . import (
    analysis as analysis,
    coupling as coupling,
    datasets as datasets,
    models as models,
    noise as noise,
    observe as observe,
    plot as plot,
    stimulus as stimulus,
    units as units,
)
from ._connectome import Connectome as Connectome
from ._custom_types import Parameter as Parameter, Value as Value
from ._declare import param as param, slot as slot, variable as variable
from ._describe import describe as describe
from ._horn_network import HORNLayer as HORNLayer, HORNNetwork as HORNNetwork
from ._network import Network as Network
from .integrate import (
    RESULTS as RESULTS,
    DivergenceError as DivergenceError,
    Euler as Euler,
    ExponentialEuler as ExponentialEuler,
    Heun as Heun,
    RungeKutta4 as RungeKutta4,
    SemiImplicitEuler as SemiImplicitEuler,
    Solution as Solution,
    simulate as simulate,
    step as step,
)
from .models import (
    HORN as HORN,
    AbstractDynamics as AbstractDynamics,
    AbstractInhibition as AbstractInhibition,
    AbstractModel as AbstractModel,
    AbstractTransfer as AbstractTransfer,
    CoombesByrne as CoombesByrne,
    DivisiveGain as DivisiveGain,
    DivisiveInput as DivisiveInput,
    Epileptor as Epileptor,
    FitzHughNagumo as FitzHughNagumo,
    Generic2dOscillator as Generic2dOscillator,
    Hopf as Hopf,
    Inputs as Inputs,
    JansenRit as JansenRit,
    Kuramoto as Kuramoto,
    LarterBreakspear as LarterBreakspear,
    Linear as Linear,
    Lorenz as Lorenz,
    MontbrioPazoRoxin as MontbrioPazoRoxin,
    Rectified as Rectified,
    ReducedWongWang as ReducedWongWang,
    Sigmoid as Sigmoid,
    State as State,
    StuartLandau as StuartLandau,
    Subtractive as Subtractive,
    ThresholdLinear as ThresholdLinear,
    VanDerPol as VanDerPol,
    WilsonCowan as WilsonCowan,
    WilsonCowanAdaptive as WilsonCowanAdaptive,
    WilsonCowanThreePopulation as WilsonCowanThreePopulation,
    WongWang as WongWang,
    WongWangExcInh as WongWangExcInh,
    list_models as list_models,
    observable as observable,
)
